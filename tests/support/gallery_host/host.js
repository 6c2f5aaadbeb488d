// A host of MCP Apps: the public bridge on one side, the test's server on the other.
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

const REFUSED = { code: -32000, message: "The user did not allow this." };

/** Show the answer of a call in its page, inside the sandbox proxy of another origin. */
window.show = async ({ html, csp, sandbox, given, result, context, capabilities, refuses }) => {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts allow-same-origin");
  frame.title = "Gallery";
  document.body.replaceChildren(frame);
  const bridge = new AppBridge(null, { name: "test-host", version: "1.0.0" }, capabilities, {
    hostContext: context,
  });
  window.bridge = bridge;
  const asked = (method, params) => {
    if (refuses.includes(params.name ?? params.uri) || refuses.includes("*")) {
      throw Object.assign(new Error(REFUSED.message), REFUSED);
    }
    return window.askServer(method, params);
  };
  bridge.oncalltool = (params) => asked("tools/call", params);
  bridge.onreadresource = (params) => asked("resources/read", params);
  bridge.onopenlink = async ({ url }) => (await window.noteLink(url), {});
  bridge.onupdatemodelcontext = async ({ content }) => (await window.noteContext(content), {});
  bridge.onrequestdisplaymode = async ({ mode }) => {
    bridge.setHostContext({ ...context, displayMode: mode });
    return { mode };
  };
  bridge.addEventListener("sizechange", ({ height }) => {
    if (height) frame.style.height = `${height}px`;
  });
  bridge.addEventListener("sandboxready", () =>
    bridge.sendSandboxResourceReady({ html, csp, sandbox: "allow-scripts" }),
  );
  bridge.addEventListener("initialized", async () => {
    await bridge.sendToolInput({ arguments: given });
    if (result) await bridge.sendToolResult(result);
  });
  const window_ = frame.contentWindow;
  await bridge.connect(new PostMessageTransport(window_, window_));
  frame.src = `${sandbox}?csp=${encodeURIComponent(JSON.stringify(csp ?? {}))}`;
};
