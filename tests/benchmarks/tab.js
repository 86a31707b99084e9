// The birth of a head in this tab, in seconds of training.

const TRAINER = "/helpers/explorables/discovery/trainer";

// Looked at every few steps, which the clock leaves out: the seconds until the best head's prefix
// matching is above the level, and the step; null where it never was.
export async function birth({ seed, every, level, steps }) {
  const { Scene } = await import(`${TRAINER}/scene.js`);
  const { chosen } = await import(`${TRAINER}/choices.js`);
  let start = performance.now(), spent = 0;
  const scene = new Scene(chosen({ seed }));
  for (let step = 1; step <= steps; step++) {
    scene.trainer.step();
    if (step % every) continue;
    spent += performance.now() - start;
    const [{ prefix_matching }] = scene.look();
    if (Math.max(...prefix_matching.flat()) > level) return { seconds: spent / 1000, step };
    start = performance.now();
  }
  return null;
}
