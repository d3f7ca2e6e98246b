// The protobuf of chatcore.js, for the tests to ask: a line with a question, a line with an answer.
//
// The arguments are the library, as a module, and the descriptor to answer on. A question is an
// object with what to do under `ask`; it is written as a JavaScript expression, so that it may hold
// NaN and Infinity. An answer is JSON; the message of a ClientError is its `refused`.
import fs from "node:fs";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const [, , library, descriptor] = process.argv;
const { ClientError, Schema } = await import(pathToFileURL(library));
let schema;

const questions = {
  schema({ parsed }) {
    schema = new Schema(parsed);
    return {};
  },
  encode: ({ route, value }) => ({ hex: Buffer.from(schema.encode(route, value)).toString("hex") }),
  decode: ({ route, hex }) => ({ value: schema.decode(route, Buffer.from(hex, "hex")) }),
};

const numbers = (key, value) =>
  typeof value === "number" && !Number.isFinite(value) ? { $: String(value) } : value;

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const question = eval(`(${line})`);
  let answer;
  try {
    answer = questions[question.ask](question);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    answer = { refused: error.message, code: error.code };
  }
  fs.writeFileSync(+descriptor, JSON.stringify(answer, numbers) + "\n");
});
