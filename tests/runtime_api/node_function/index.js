"use strict";

// One line of output, and one chunk, for every element of parts; then what it is told to do.
exports.handler = awslambda.streamifyResponse(async (received, stream) => {
  const event = received.body ? JSON.parse(received.body) : received;
  if (event.then === "fail at once") throw new Error("no tea");
  const head = { statusCode: 201, headers: { "content-type": "text/plain" }, cookies: ["a=1"] };
  const http = awslambda.HttpResponseStream.from(stream, head);
  for (const part of event.parts) {
    console.log(`sending ${part}`);
    await new Promise((done) => http.write(part, done));
  }
  if (event.then === "fail") throw new Error("no more tea");
  if (event.then === "exit") process.exit(4);
  if (event.then === "hang") await new Promise(() => setInterval(() => {}, 1000));
  http.end();
  await http.finished();
});

exports.plain = async (event, context) => ({
  event,
  id: context.awsRequestId,
  tenant: context.tenantId,
});
