// Reads the bytes that pack.py writes: header length, JSON header, float32 tensors.

export function readHeader(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { header, start: 4 + length };
}

// The copy also aligns the data: the message buffer may start at any byte.
export function readTensors(bytes, header, start) {
  const body = bytes.slice(start).buffer;
  const tensors = {};
  for (const [name, { offset, shape }] of Object.entries(header.tensors)) {
    const count = shape.reduce((a, b) => a * b, 1);
    tensors[name] = new Float32Array(body, offset, count);
  }
  return tensors;
}
