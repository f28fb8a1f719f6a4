// A client as one writes it on an afternoon: node client.mjs http://127.0.0.1:PORT QUESTION...
const [url, ...questions] = process.argv.slice(2);
const headers = {
  "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36",
  accept: "text/event-stream", "accept-language": "en-US,en;q=0.9", "cache-control": "no-cache", pragma: "no-cache",
  "content-type": "application/json", origin: url, referer: `${url}/`, cookie: "dcs=1; dcm=3",
};
const page = await (await fetch(`${url}/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1`, { headers: { ...headers, accept: "text/html" } })).text();
const version = `${page.split('__DDG_BE_VERSION__="')[1].split('"')[0]}-${page.split('__DDG_FE_CHAT_HASH__="')[1].split('"')[0]}`;
const status = await fetch(`${url}/duckchat/v1/status`, { headers: { ...headers, "x-vqd-accept": "1" } });
let token = status.headers.get("x-vqd-4");
const messages = [];
for (const content of questions) {
  messages.push({ role: "user", content });
  const response = await fetch(`${url}/duckchat/v1/chat`, {
    method: "POST", headers: { ...headers, "x-vqd-4": token, "x-vqd-hash-1": "", "x-fe-version": version, "sec-ch-ua": "" },
    body: JSON.stringify({ model: "gpt-4o-mini", messages }),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  token = response.headers.get("x-vqd-4");
  let reply = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    for (const line of chunk.split("\n")) {
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      const { message } = JSON.parse(line.slice(6));
      if (message) { process.stdout.write(message); reply += message; }
    }
  }
  process.stdout.write("\n");
  messages.push({ role: "assistant", content: reply });
}
