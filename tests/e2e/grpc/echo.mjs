// The service that the server offers and the client calls: its messages are plain bytes.
//
// SPDX-License-Identifier: Apache-2.0
const asIs = bytes => bytes;

const method = (name, requestStream, responseStream) => ({
  path: `/test.Echo/${name}`, requestStream, responseStream,
  requestSerialize: asIs, requestDeserialize: asIs,
  responseSerialize: asIs, responseDeserialize: asIs,
});

export const service = {
  Unary: method("Unary", false, false),
  Collect: method("Collect", true, false),
  Spread: method("Spread", false, true),
  Chat: method("Chat", true, true),
  Refuse: method("Refuse", false, false),
  Break: method("Break", false, true),
  Wait: method("Wait", false, false),
  WaitStream: method("WaitStream", true, true),
};

export const UNLIMITED = {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
};

export const tell = event => console.log(JSON.stringify(event));
