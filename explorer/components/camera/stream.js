// The camera itself: opened when asked, closed for certain, and a reason where there is none.

const REASONS = { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "absent", OverconstrainedError: "absent" };

export const SENTENCES = {
  denied: "The browser has not given this page the camera. Allow it beside the address bar and start again, or go on with a picture.",
  absent: "No camera was found. Plug one in and start again, or go on with a picture.",
  busy: "The camera does not answer; another program may be using it. Close that and start again, or go on with a picture.",
  insecure: "Browsers give a camera only to pages from this computer or over HTTPS. Here you can go on with a picture.",
  ended: "The camera was unplugged or taken away.",
  hidden: "The camera went off while this page was out of sight.",
};

// A stream, or throws {reason}: a key of SENTENCES.
export async function openStream() {
  if (!navigator.mediaDevices?.getUserMedia) throw { reason: "insecure" };
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: false, video: { facingMode: { ideal: "environment" }, width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 24 } },
    });
  } catch (error) {
    throw { reason: REASONS[error.name] || "busy" };
  }
}

export function closeStream(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

// The centre square of a video, scaled to side x side: what the network takes of a picture. As base64 of a JPEG.
export function grabFrame(video, canvas, side, quality) {
  const { videoWidth: width, videoHeight: height } = video, square = Math.min(width, height);
  if (!square) return null;
  canvas.width = canvas.height = side;
  const ctx = canvas.getContext("2d");
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(video, (width - square) / 2, (height - square) / 2, square, square, 0, 0, side, side);
  return canvas.toDataURL("image/jpeg", quality).split(",", 2)[1];
}
