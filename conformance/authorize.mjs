// The suite can't send headers. Loaded before it, this adds an access token to each of its requests,
// which it sends with fetch, undici, and node:http.

import { subscribe } from "node:diagnostics_channel";

const credentials = `Bearer ${process.env.CONFORMANCE_TOKEN}`;

subscribe("undici:request:create", ({ request }) => {
  request.addHeader("Authorization", credentials);
});

subscribe("http.client.request.created", ({ request }) => {
  request.setHeader("Authorization", credentials);
});
