// How often answers come, and how old the picture is by then: measured here, over the last two seconds, or the last
// five answers where they are slow.

const WINDOW = 2000, LEAST = 5;

export function createMeter() {
  const answers = [];
  const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
  return {
    clear: () => (answers.length = 0),
    answered(now, took, server) {
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
