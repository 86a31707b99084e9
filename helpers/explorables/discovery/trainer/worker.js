// The program of a Worker in which Discovery trains; `remote.js` is its other end.

import { Answering } from "./answering.js";

const channel = new MessageChannel(), waiting = []; // a timer would wait for 4 ms
channel.port1.onmessage = () => waiting.shift()();

const answering = new Answering({
  tell: (traits) => self.postMessage({ traits }),
  send: (message, bytes) => self.postMessage({ message, buffers: bytes ? [bytes] : [] }),
  later: (action) => {
    waiting.push(action);
    channel.port2.postMessage(null);
  },
});

self.onmessage = ({ data }) => answering.hear(data);
