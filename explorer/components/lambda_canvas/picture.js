// A picture that Python sent in base64, as an address: PNG where its pixels are squares, which JPEG would blur.
export const pictureUrl = (base64) => `data:image/${base64.startsWith("iVBOR") ? "png" : "jpeg"};base64,${base64}`;
