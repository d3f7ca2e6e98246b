// comings.js: what is said of those who come and go, with time in our hands.
import assert from "node:assert/strict";
import test from "node:test";

import { Comings } from "./comings.js";
import { FakeClock } from "./fakes.mjs";

function listen() {
  const clock = new FakeClock();
  const said = [];
  return { clock, said, comings: new Comings((text) => said.push(text), clock) };
}

test("who comes is told at once, who goes when they have been gone for a moment", async () => {
  const { clock, said, comings } = listen();
  comings.came("alice");
  assert.deepEqual(said, ["alice is online now."]);
  comings.went("alice");
  await clock.advance(2_999);
  assert.equal(said.length, 1);
  await clock.advance(1);
  assert.deepEqual(said.slice(1), ["alice is offline now."]);
  comings.came("alice");
  assert.deepEqual(said.slice(2), ["alice is online now."]);
});

test("nothing is told of who is back in a moment, and of others as ever", async () => {
  const { clock, said, comings } = listen();
  comings.went("alice");
  comings.went("bob");
  await clock.advance(1_000);
  comings.came("alice");
  await clock.advance(10_000);
  assert.deepEqual(said, ["bob is offline now."]);
});

test("who comes and goes all the time is told to have gone once", async () => {
  const { clock, said, comings } = listen();
  for (let n = 0; n < 5; n += 1) {
    comings.went("alice");
    await clock.advance(1_000);
    comings.came("alice");
  }
  comings.went("alice");
  comings.went("alice");
  await clock.advance(10_000);
  assert.deepEqual(said, ["alice is offline now."]);
});

test("nothing is told when nobody looks any more", async () => {
  const { clock, said, comings } = listen();
  comings.went("alice");
  comings.forget();
  assert.equal(clock.waiting, 0);
  assert.deepEqual(said, []);
});
