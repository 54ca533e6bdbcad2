// Search in notes with Ollama's client for Node.
const { readFileSync } = require("node:fs");
const { Ollama } = require("ollama");

const MODEL = "nomic-embed-text";
const TOP = 3;

function lines(name) {
  return readFileSync(name, "utf-8").split("\n").filter((line) => line !== "");
}

async function embedded(client, texts) {
  const answer = await client.embed({ model: MODEL, input: texts });
  return answer.embeddings.map((vector) => {
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  });
}

async function main() {
  const client = new Ollama({ host: "http://127.0.0.1:11434" });
  await client.pull({ model: MODEL });
  const notes = lines("notes.txt");
  const corpus = await embedded(client, notes);
  const questions = lines("questions.txt");
  for (const [number, vector] of (await embedded(client, questions)).entries()) {
    const scores = corpus.map((other) => other.reduce((sum, x, i) => sum + x * vector[i], 0));
    const best = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a]).slice(0, TOP);
    console.log([questions[number], ...best.map((i) => notes[i])].join("\t"));
  }
}

main();
