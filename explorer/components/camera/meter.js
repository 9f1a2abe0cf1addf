// How often answers come, and how old the picture is by then: measured here, over the last two seconds, or the last
// five answers where they are slow. And how long to wait for an answer before it is given up as lost: longer each time,
// so that a server that is slow, and not gone, is not asked again and again.

const WINDOW = 2000, LEAST = 5, LOST = 4000, MOST_PATIENT = 60000;

export function createMeter() {
  const answers = [];
  let patience = LOST;
  const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
  return {
    clear: () => (answers.length = 0),
    patience: () => patience,
    lost: () => (patience = Math.min(2 * patience, MOST_PATIENT)),
    answered(now, took, server) {
      patience = Math.min(Math.max(LOST, 2 * took), MOST_PATIENT);
      answers.push({ now, took, server });
      while (answers.length > LEAST && now - answers[0].now > WINDOW) answers.shift();
    },
    // {rate: answers a second, took: ms from camera to answer, server: ms of these in Python}, or null at the start
    read() {
      if (answers.length < 3) return null;
      const span = answers[answers.length - 1].now - answers[0].now;
      if (!span) return null;
      return {
        rate: ((answers.length - 1) * 1000) / span,
        took: median(answers.map((answer) => answer.took)),
        server: median(answers.map((answer) => answer.server)),
      };
    },
  };
}
