// What the scene says of one token, and of each kind of token. Needs no page.

// All that is said of a token stands in the row of the one before it, at which it was predicted.
// Null for the first, which nothing predicts.
export function readToken(scene, position) {
  const { tokens, kinds, looks } = scene, row = position - 1;
  if (row < 0) return null;
  const [whole, without] = [scene.whole, scene.without].map((side) => readSide(scene, side, row));
  return {
    position, row, whole, without, saved: without.loss - whole.loss, kind: kinds[row],
    right: tokens[position], looks: looks[row],
  };
}

// The loss, and the answers: the best ones, and behind them the right one if it is not among them.
function readSide({ tokens }, { loss, best, probability, place }, row) {
  const right = tokens[row + 1];
  const answers = best[row].map((token, i) =>
    ({ token, place: i + 1, probability: probability[row][i], isRight: token === right }));
  if (!best[row].includes(right))
    answers.push({
      token: right, place: place[row], probability: Math.exp(-loss[row]), isRight: true,
    });
  return { loss: loss[row], answers };
}

export const savedIn = ({ whole, without }) =>
  whole.loss.map((loss, row) => without.loss[row] - loss);

// How many tokens there are of each kind, and what is saved at them in all.
export function sumsOf({ kinds, all_kinds }, saved) {
  return all_kinds.map((kind) => {
    const own = saved.filter((_, row) => kinds[row] === kind);
    return { kind, count: own.length, sum: own.reduce((sum, value) => sum + value, 0) };
  });
}
