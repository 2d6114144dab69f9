// A gRPC server for the tests; prints a line of JSON for each event, the first one with its port:
//   node server.mjs            without TLS
//   node server.mjs CHAIN KEY  with TLS
//
// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { service, tell, UNLIMITED } from "./echo.mjs";

const [chain, key] = process.argv.slice(2);

// What the caller sent, back to it: x- fields in front and after the messages.
function answerMetadata(call) {
  const initial = new grpc.Metadata();
  const last = new grpc.Metadata();
  for (const [name] of Object.entries(call.metadata.getMap())) {
    for (const value of name.startsWith("x-") ? call.metadata.get(name) : []) {
      initial.add(name, value);
      last.add(name.replace(/^x-/, "x-last-"), value);
    }
  }
  initial.set("x-user-agent", String(call.metadata.get("user-agent")[0]));
  call.sendMetadata(initial);
  return last;
}

function watch(call, name) {
  tell({ event: "began", name, deadline: Number.isFinite(Number(call.getDeadline())) });
  call.on("cancelled", () => tell({ event: "cancelled", name }));
}

const handlers = {
  Unary(call, answer) {
    answer(null, call.request, answerMetadata(call));
  },
  Collect(call, answer) {
    let count = 0;
    let bytes = 0;
    call.on("data", message => { count++; bytes += message.length; });
    call.on("end", () => answer(null, Buffer.from(JSON.stringify({ count, bytes }))));
    call.on("error", () => {});
  },
  Spread(call) {
    const { count, bytes } = JSON.parse(call.request);
    let sent = 0;
    watch(call, "Spread");
    const more = () => {
      while (sent < count && !call.cancelled) {
        if (!call.write(Buffer.alloc(bytes, sent++))) {
          call.once("drain", more);
          return;
        }
      }
      call.end(answerMetadata(call));
    };
    more();
  },
  Chat(call) {
    const last = answerMetadata(call);
    call.on("data", message => call.write(message));
    call.on("end", () => call.end(last));
    call.on("error", () => {});
  },
  Refuse(call, answer) {
    const metadata = new grpc.Metadata();
    metadata.set("x-why", "because");
    answer({ code: grpc.status.FAILED_PRECONDITION, details: "not now: 100 % – sorry", metadata });
  },
  Break(call) {
    call.write(Buffer.from("first"));
    call.write(Buffer.from("second"));
    call.emit("error", { code: grpc.status.ABORTED, details: "given up" });
  },
  Wait(call) {
    watch(call, "Wait");
  },
  WaitStream(call) {
    watch(call, "WaitStream");
    call.sendMetadata(new grpc.Metadata());
    call.on("data", message => call.write(message));
    call.on("error", () => {});
  },
};

const server = new grpc.Server(UNLIMITED);
server.addService(service, handlers);
const credentials = chain
  ? grpc.ServerCredentials.createSsl(null, [
    { cert_chain: readFileSync(chain), private_key: readFileSync(key) }])
  : grpc.ServerCredentials.createInsecure();
server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
  tell(error ? { event: "failed", error: String(error) } : { event: "listening", port });
});
process.on("SIGTERM", () => process.exit(0));
