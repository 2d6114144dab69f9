// Calls the service as an ordinary client, by one of the scenarios below, and prints what came of
// it as JSON:
//   node client.mjs PORT CA SCENARIO WISHES
//
// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { service, tell, UNLIMITED } from "./echo.mjs";

const [port, ca, scenario, wishes] = process.argv.slice(2);
const wish = JSON.parse(wishes || "{}");

const Client = grpc.makeGenericClientConstructor(service, "Echo");
const client = new Client(
  `127.0.0.1:${port}`, grpc.credentials.createSsl(readFileSync(ca)), {
    ...UNLIMITED,
    "grpc.ssl_target_name_override": "localhost",
    "grpc.default_authority": wish.authority || "localhost",
    "grpc.default_compression_algorithm": wish.gzip ? 2 : 0,
    "grpc.enable_retries": 0,
  });

function metadata() {
  const fields = new grpc.Metadata();
  for (const [name, value] of wish.metadata || []) {
    fields.add(name, name.endsWith("-bin") ? Buffer.from(value, "hex") : value);
  }
  return fields;
}

const options = wish.deadline ? { deadline: Date.now() + wish.deadline } : {};

function readable(fields) {
  const map = {};
  for (const name of fields ? Object.keys(fields.toJSON()) : []) {
    map[name] = fields.get(name).map(value => Buffer.isBuffer(value) ? value.toString("hex") : value);
  }
  return map;
}

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

// Bytes that no reordering or loss leaves the same.
function pattern(length, seed = 0) {
  const unit = Buffer.from(Array.from({ length: 251 }, (_, i) => (i * 7 + seed) % 256));
  return Buffer.alloc(length, unit);
}

// A call's end as {code, details, initial, trailers}, and its messages through onMessage.
function follow(call, onMessage = () => {}) {
  const seen = { messages: 0 };
  call.on("metadata", fields => { seen.initial = readable(fields); });
  call.on("data", message => { seen.messages++; onMessage(message, seen); });
  call.on("error", () => {});
  return new Promise(resolve => call.on("status", status => resolve({
    ...seen, code: status.code, details: status.details, trailers: readable(status.metadata) })));
}

function unary(name, message) {
  return new Promise(resolve => {
    const seen = {};
    const call = client[name](message, metadata(), options, (error, answer) => {
      seen.same = answer ? answer.equals(message) : false;
      seen.answer = answer && answer.length < 1000 ? answer.toString() : undefined;
    });
    call.on("metadata", fields => { seen.initial = readable(fields); });
    call.on("status", status => setImmediate(() => resolve({
      ...seen, code: status.code, details: status.details,
      trailers: readable(status.metadata) })));
    seen.call = undefined;
    unary.last = call;
  });
}

const scenarios = {
  unary: () => unary(wish.method || "Unary", wish.zeros ? Buffer.alloc(wish.bytes) : pattern(wish.bytes)),

  // One after the other on one channel.
  async several() {
    const codes = [];
    for (let i = 0; i < wish.count; i++) {
      codes.push((await unary("Unary", pattern(10, i))).code);
    }
    return { codes };
  },

  // Many at once.
  async together() {
    const answers = await Promise.all(
      Array.from({ length: wish.count }, (_, i) => unary("Unary", pattern(1000, i))));
    return { same: answers.filter(answer => answer.same).length };
  },

  collect: () => new Promise(resolve => {
    const call = client.Collect(metadata(), options, (error, answer) => resolve(
      error ? { code: error.code, details: error.details } : { code: 0, ...JSON.parse(answer) }));
    const message = pattern(wish.bytes);
    let sent = 0;
    const more = () => {
      while (sent++ < wish.count) {
        if (!call.write(message)) {
          call.once("drain", more);
          return;
        }
      }
      call.end();
    };
    more();
  }),

  async spread() {
    let bytes = 0;
    const call = client.Spread(
      Buffer.from(JSON.stringify(wish)), metadata(), options);
    const end = await follow(call, (message, seen) => {
      bytes += message.length;
      seen.ordered = (seen.ordered !== false) && message[0] === (seen.messages - 1) % 256;
      if (seen.messages === wish.cancel_after) {
        call.cancel();
      }
    });
    return { ...end, bytes };
  },

  // Each message is sent only when the answer to the one before is there.
  async chat() {
    const call = client[wish.method || "Chat"](metadata(), options);
    let sent = 0;
    let same = 0;
    const say = () => call.write(pattern(wish.bytes, sent++));
    const end = follow(call, async message => {
      same += message.equals(pattern(wish.bytes, sent - 1)) ? 1 : 0;
      tell({ event: "answered" });
      await pause(wish.pause || 0);
      if (sent < wish.count) {
        say();
      } else if (wish.cancel) {
        call.cancel();
      } else if (!wish.stay) {
        call.end();
      }
    });
    say();
    return { ...await end, same };
  },

  async cancel() {
    const end = unary("Wait", pattern(10));
    unary.last.on("metadata", () => {});
    setTimeout(() => unary.last.cancel(), wish.after);
    return end;
  },

  break: () => follow(client.Break(pattern(1), metadata(), options)),
};

tell(await scenarios[scenario]());
client.close();
