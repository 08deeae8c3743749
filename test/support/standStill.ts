/** Stops this thread, as a host does that gives the machine nothing: no timer fires, no answer is read. */
export const standStill = (millis: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
