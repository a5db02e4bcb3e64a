// Of a page that a server gave: show its newest cycle, and go on to the next.

const POLL_MS = 5000;

class Follower {
  constructor(onView) {
    this.onView = onView;
    this.shown = null;
    this.heard = null;
    element("series").onchange = () => {
      location.hash = encodeURIComponent(element("series").value);
      this.shown = null;
      this.look();
    };
    element("series-label").onkeydown = (event) => event.stopPropagation();
  }

  async run() {
    for (;;) {
      await this.look();
      await new Promise((done) => setTimeout(done, POLL_MS));
    }
  }

  async look() {
    try {
      const answer = await fetch("newest", { cache: "no-store" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const { series, reason } = await answer.json();
      this.heard = Date.now();
      this.offer(series);
      const wanted = decodeURIComponent(location.hash.slice(1));
      const chosen = series.find(({ name }) => name === wanted) ?? series[0];
      if (!chosen) return this.say("warn", reason);
      if (chosen.id !== this.shown) await this.fetch(chosen);
      this.say(chosen.level, chosen.text);
    } catch (error) {
      const since = this.heard === null ? "" : ` since ${clock(this.heard)} UTC`;
      this.say("bad", `No answer from the server${since}; what is shown may be old.`);
      document.body.dataset.trouble = String(error);
    }
  }

  async fetch(chosen) {
    const answer = await fetch(`view/${encodeURIComponent(chosen.id)}.json`);
    if (!answer.ok) throw new Error(await answer.text());
    await this.onView(await answer.json());
    this.shown = chosen.id;
    document.body.dataset.cycle = chosen.cycle;
  }

  offer(series) {
    const list = element("series");
    const names = series.map(({ name }) => name);
    element("series-label").hidden = names.length < 2;
    if (names.join("\n") === [...list.options].map(({ value }) => value).join("\n")) return;
    list.replaceChildren(...names.map((name) => new Option(name)));
    const wanted = decodeURIComponent(location.hash.slice(1));
    if (names.includes(wanted)) list.value = wanted;
  }

  say(level, text) {
    const state = element("state");
    state.hidden = !text;
    state.className = level;
    if (state.textContent !== text) state.textContent = text;
    if (element("wait").textContent && this.shown === null) element("wait").textContent = text;
  }
}
