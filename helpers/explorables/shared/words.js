// Words that more than one view says. Needs no page.

export const headName = ([layer, head]) => `${layer}.${head}`;
export const headCalled = (name) => name.split(".").map(Number);

// All heads as [layer, head], layer by layer.
export const everyHead = (n_layers, n_heads) =>
  Array.from({ length: n_layers * n_heads }, (_, at) => [Math.floor(at / n_heads), at % n_heads]);

// What a key is to a query that matches prefixes: it stands right after an earlier copy of the
// query's token. The first position, BOS, is nobody's earlier copy.
export const isTarget = (tokens, query, key) => key > 1 && tokens[key - 1] === tokens[query];
export const targetWords = (label) => `right after an earlier “${label}”: an induction target`;
