// The live picture of this host's racks: asks racks.json every second and draws what it says. What
// comes from there may hold any text that clients make up as keys, so it is only ever set as text,
// never as markup.

const INTERVAL_MS = 1000;
// Samples of the chart: four minutes.
const HISTORY_MAX = 240;

const element = (id) => document.getElementById(id);
const table = (id) => ({ head: element(id).tHead.rows[0], body: element(id).tBodies[0] });
const servers = table("servers");
const keys = table("keys");
const events = table("events");
const packets = table("packets");

// What is known of each rack, by name: { now, before, seconds, history }.
const racks = new Map();
// What the reader has chosen; it stands behind the # of the address, so that it can be kept.
const choices = { rack: "", order: "rate", limit: "16", busiest: "" };
let isPaused = false;
let timer = 0;

// MARK: Asking

// Versions have more bits than JavaScript's numbers, so they are read as text. A quotation mark
// inside of a string comes with a backslash: what is matched is a name and its number.
function parse(text) {
  return JSON.parse(text.replace(/"version":(\d+)/g, '"version":"$1"'));
}

async function poll() {
  clearTimeout(timer);
  try {
    const response = await fetch("racks.json", { cache: "no-store" });
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    take(parse(await response.text()).racks);
    draw();
  } catch (error) {
    complain(`The exporter does not answer (${error.message}). What is shown is old.`);
  }
  if (!isPaused && !document.hidden) timer = setTimeout(poll, INTERVAL_MS);
}

function take(list) {
  for (const name of [...racks.keys()]) {
    if (!list.some((rack) => rack.name === name)) racks.delete(name);
  }
  for (const rack of list) {
    const known = racks.get(rack.name) ?? { now: rack, before: null, seconds: 0, history: [] };
    racks.set(rack.name, known);
    if (!rack.status) {
      known.problem = rack.error || "it does not answer";
      continue;
    }
    known.problem = "";
    const old = known.now.status;
    const seconds = old ? rack.status.uptime_seconds - old.uptime_seconds : 0;
    // The same answer again.
    if (known.now !== rack && seconds === 0 && old?.process === rack.status.process) continue;
    const goesOn = known.now !== rack && seconds > 0 && old?.process === rack.status.process;
    known.before = goesOn ? known.now : null;
    known.seconds = goesOn ? seconds : 0;
    known.now = rack;
    known.history.push(rack.status.rate);
    known.history.splice(0, known.history.length - HISTORY_MAX);
  }
}

// MARK: Words

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

function short(value) {
  if (!Number.isFinite(value)) return "-";
  return Math.abs(value) < 99_999.5 ? plain.format(value) : compact.format(value);
}

function percent(share) {
  if (!Number.isFinite(share)) return "-";
  return share > 0 && share < 0.0995 ? `${(share * 100).toFixed(1)}%` : `${(share * 100).toFixed(0)}%`;
}

// "epoch:counter", as everywhere else.
function versionText(version) {
  const bits = BigInt(version);
  return bits === 0n ? "-" : `${bits >> 48n}:${bits & 0xffffffffffffn}`;
}

function duration(seconds) {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

const work = (server) => server.read_rate + server.write_rate + server.copy_rate;
const sum = (list, of) => list.reduce((total, item) => total + of(item), 0);
const isDrop = ([name]) => name.startsWith("drop_");
const dropped = (status) => sum(Object.entries(status.counters).filter(isDrop), ([, count]) => count);

function serverState(server) {
  const isSlow = server.phase === "alive" && server.weight < 1;
  return (isSlow ? "slow" : server.phase) + (server.storage === "full" ? ", full" : "");
}

function underWay(status) {
  if (status.moving_slots) return "slots of lost servers move";
  if (status.slots_to_move > 0) return `${short(status.slots_to_move)} slots are to move`;
  if (status.in_transition > 0) return `${status.in_transition} keys in transition`;
  return status.quiet ? "nothing under way" : "something waits";
}

// MARK: Drawing

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setClass(node, name) {
  if (node.className !== name) node.className = name;
}

function make(name, className = "", ...children) {
  const node = document.createElement(name);
  node.className = className;
  node.append(...children);
  return node;
}

// As many rows as there are items; rows that are there already only change what is in them, so that
// nobody loses their place.
function drawRows(body, items, makeRow, fill) {
  while (body.rows.length > items.length) body.deleteRow(-1);
  while (body.rows.length < items.length) body.append(makeRow());
  items.forEach((item, index) => fill(body.rows[index], item, index));
}

function cells(...classes) {
  return () => make("tr", "", ...classes.map((name) => make("td", name)));
}

function complain(text) {
  const problem = element("problem");
  setText(problem, text);
  problem.hidden = text === "";
  element("picture").classList.toggle("old", text !== "");
}

function draw() {
  const names = [...racks.keys()];
  drawRackChoice(names);
  const name = names.includes(choices.rack) ? choices.rack : names[0];
  const rack = racks.get(name);
  if (!rack) {
    complain("No rack's controller runs on this host.");
    setText(element("state-text"), "no rack");
    return;
  }
  setText(element("rack-name"), name);
  document.title = `${name} · hotrack`;
  complain(rack.problem ? `Rack ${name}: ${rack.problem}` : "");
  const state = element("state-text");
  if (rack.problem || !rack.now.status) {
    setText(state, "no answer");
    setClass(state, "pill bad");
  } else {
    drawStatus(rack, state);
    drawServers(rack.now.servers);
    drawKeys(rack.now.keys, rack.now.servers);
    drawEvents(rack.now.events);
    drawPackets(rack);
  }
}

function drawRackChoice(names) {
  const select = element("rack");
  element("rack-choice").hidden = names.length < 2;
  element("place").hidden = names.length > 1;
  const shown = [...select.options].map((option) => option.value);
  if (shown.join("\n") !== names.join("\n")) {
    select.replaceChildren(...names.map((name) => new Option(name, name)));
  }
  if (names.includes(choices.rack)) select.value = choices.rack;
}

function drawStatus(rack, state) {
  const { now, before, seconds } = rack;
  const status = now.status;
  const word = status.dry_run ? "dry run: counts only" : status.serving ? "serving" : "NOT SERVING";
  setText(state, word);
  setClass(state, status.serving && !status.dry_run ? "pill good" : "pill bad");
  setText(element("address"), status.address);
  setText(
    element("detail"),
    `epoch ${status.epoch}, up ${duration(status.uptime_seconds)}, ` +
      [...new Set(Object.values(status.interfaces))].sort().join(" and ") +
      (status.automatic ? "" : ", keys by command only"));

  setText(element("rate"), short(status.rate));
  const [reads, writes, copies] = ["read_rate", "write_rate", "copy_rate"].map((field) =>
    short(sum(now.servers, (server) => server[field])));
  setText(element("operations"), `reads ${reads}, writes ${writes}, copies ${copies}`);
  drawChart(rack.history);

  const alive = now.servers.filter((server) => server.phase === "alive");
  const mean = sum(alive, work) / alive.length;
  const busiest = alive.reduce((a, b) => (a && work(a) >= work(b) ? a : b), null);
  setText(element("imbalance"), mean > 0 ? (work(busiest) / mean).toFixed(2) : "-");
  setText(
    element("busiest"), mean > 0 ? `server ${busiest.number}, ${short(work(busiest))}/s` : "no load");

  setText(element("hot"), short(status.hot_keys));
  const moved = (field) => (before ? status.totals[field] - before.status.totals[field] : 0);
  setText(
    element("transitions"),
    before ? `+${moved("promotions")} −${moved("demotions")} since ${seconds.toFixed(0)} s` : "");

  const drops = before ? (dropped(status) - dropped(before.status)) / seconds : NaN;
  setText(element("dropped"), short(Math.max(0, drops)));
  setClass(element("dropped"), drops >= 1 ? "figure bad" : "figure");
  setText(element("dropped-total"), `${short(dropped(status))} in all`);

  setText(element("alive"), `${status.servers_alive}/${status.servers}`);
  setClass(element("alive"), status.servers_alive < status.servers ? "figure bad" : "figure");
  setText(element("under-way"), underWay(status));
}

function drawChart(history) {
  const top = Math.max(1, ...history) * 1.05;
  const points = history.map((value, index) => {
    const x = 240 - (history.length - 1 - index);
    return `${x},${(35 - (value / top) * 34).toFixed(1)}`;
  });
  element("rate-chart").firstElementChild.setAttribute("points", points.join(" "));
}

function drawServers(list) {
  const total = sum(list, work);
  const most = Math.max(...list.map(work), 1e-9);
  const shown = choices.busiest ? [...list].sort((a, b) => work(b) - work(a)) : list;
  const makeRow = () => {
    const row = cells("number", "", "bars", ...Array(7).fill("number"))();
    const parts = ["reads", "writes", "copies"].map((name) => make("i", name));
    row.cells[2].append(make("div", "bar", ...parts));
    return row;
  };
  drawRows(servers.body, shown, makeRow, (row, server) => {
    const state = serverState(server);
    setText(row.cells[0], String(server.number));
    row.cells[0].title = server.address;
    setText(row.cells[1], state);
    setClass(
      row.cells[1], state === "alive" ? "" : server.phase === "lost" ? "state-bad" : "state-warn");
    const bar = row.cells[2].firstElementChild;
    const rates = [server.read_rate, server.write_rate, server.copy_rate];
    rates.forEach((rate, index) => {
      bar.children[index].style.width = `${((rate / most) * 100).toFixed(2)}%`;
    });
    const texts = [
      total > 0 ? percent(work(server) / total) : "-", ...rates.map(short), short(server.load),
      short(server.slots), short(server.keys),
    ];
    texts.forEach((text, index) => setText(row.cells[3 + index], text));
  });
}

const KEY_COLUMNS = ["Rate/s", "Share", "Reads"];
const KEY_COLUMNS_LAST = ["Replicas", "Version", "Copies", "Mode"];

const orders = {
  rate: () => 0,
  writes: (a, b) => b.rate * (1 - b.read_share) - a.rate * (1 - a.read_share),
  replicas: (a, b) => b.replicas.length - a.replicas.length,
  name: (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0),
};

// About how many reads of the key a server takes that holds it.
const readsAtHolder = (key) => (key.rate * key.read_share) / Math.max(1, key.replicas.length);

function drawKeys(list, serverList) {
  const numbers = serverList.map((server) => server.number);
  const columns = numbers.join(" ");
  if (keys.head.dataset.columns !== columns) {
    keys.head.dataset.columns = columns;
    keys.head.replaceChildren(
      columnTitle("Key", ""),
      ...KEY_COLUMNS.map((name) => columnTitle(name, name === "Share" ? "" : "number")),
      ...numbers.map((number) => columnTitle(String(number), "cell", "server ")),
      ...KEY_COLUMNS_LAST.map((name) => columnTitle(name, name === "Mode" ? "" : "number")));
    keys.body.replaceChildren();
  }
  const shown = [...list].sort(orders[choices.order] ?? orders.rate).slice(0, Number(choices.limit));
  const hottest = Math.max(...shown.map(readsAtHolder), 1e-9);
  const largest = Math.max(...shown.map((key) => key.share), 1e-9);
  const makeRow = () => {
    const name = make("th");
    name.scope = "row";
    const share = make("div", "share", make("i", "", make("b")), make("span"));
    const fixed = [make("td", "number"), make("td", "", share), make("td", "number")];
    const squares = numbers.map(() => make("td", "cell", make("i"), make("span", "hidden")));
    const last = ["number", "number", "number", ""].map((name) => make("td", name));
    return make("tr", "", name, ...fixed, ...squares, ...last);
  };
  drawRows(keys.body, shown, makeRow, (row, key) => {
    const [name, rate, share, reads, ...rest] = row.cells;
    setText(name, key.key);
    name.title = `${key.key}\nhash ${key.key_hash}`;
    setText(rate, short(key.rate));
    const [strip, shareText] = share.firstElementChild.children;
    strip.firstElementChild.style.width = `${((key.share / largest) * 100).toFixed(1)}%`;
    setText(shareText, percent(key.share));
    setText(reads, percent(key.read_share));
    const warmth = readsAtHolder(key);
    // Six steps, finer where it is cold: the eye sees ratios.
    const step = Math.min(6, 1 + Math.floor(Math.sqrt(warmth / hottest) * 6));
    numbers.forEach((number, index) => {
      const holds = key.replicas.includes(number);
      const [square, words] = rest[index].children;
      setClass(square, `h${holds ? step : 0}${key.home === number ? " home" : ""}`);
      const text =
        (holds ? `holds it, about ${short(warmth)} reads/s` : "") +
        (key.home === number ? `${holds ? ", " : ""}home` : "");
      setText(words, text);
      rest[index].title = text ? `server ${number}: ${text}` : "";
    });
    const last = rest.slice(numbers.length);
    [String(key.replicas.length), versionText(key.version), String(key.copies), key.mode].forEach(
      (text, index) => setText(last[index], text));
    setClass(last[3], key.mode === "hot" ? "" : "state-warn");
  });
  if (shown.length === 0) {
    const cell = make("td", "soft", "no hot keys");
    cell.colSpan = keys.head.cells.length;
    keys.body.append(make("tr", "", cell));
    // The next row that is drawn is a whole one.
    keys.head.dataset.columns = "";
  }
}

function columnTitle(text, className, hidden = "") {
  const cell = make("th", className);
  cell.scope = "col";
  if (hidden) cell.append(make("span", "hidden", hidden));
  cell.append(text);
  return cell;
}

function drawEvents(list) {
  const newest = [...list].reverse();
  drawRows(events.body, newest, cells("", ""), (row, event) => {
    const time = new Date(event.time).toISOString();
    setText(row.cells[0], time.slice(11, 19));
    row.cells[0].title = time;
    setText(row.cells[1], event.text);
  });
}

function drawPackets({ now, before, seconds }) {
  const counted = Object.entries(now.status.counters).filter(([, count]) => count > 0);
  // What was dropped comes first.
  counted.sort((a, b) => isDrop(b) - isDrop(a) || (a[0] < b[0] ? -1 : 1));
  drawRows(packets.body, counted, cells("", "number", "number"), (row, [name, count]) => {
    const rate = before ? Math.max(0, count - (before.status.counters[name] ?? 0)) / seconds : NaN;
    setText(row.cells[0], name);
    setClass(row.cells[0], isDrop([name]) && rate >= 1 ? "state-bad" : "");
    setText(row.cells[1], short(rate));
    setText(row.cells[2], plain.format(count));
  });
}

// MARK: Choosing

function readChoices() {
  const told = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(choices)) choices[name] = told.get(name) ?? choices[name];
  if (!Object.hasOwn(orders, choices.order)) choices.order = "rate";
  if (![...element("limit").options].some((option) => option.value === choices.limit)) {
    choices.limit = "16";
  }
  element("order").value = choices.order;
  element("limit").value = choices.limit;
  element("busiest-first").checked = choices.busiest !== "";
}

function choose(name, value) {
  choices[name] = value;
  const told = Object.entries(choices).filter(([, value]) => value !== "");
  history.replaceState(null, "", `#${new URLSearchParams(told)}`);
  draw();
}

element("rack").addEventListener("change", (event) => choose("rack", event.target.value));
element("order").addEventListener("change", (event) => choose("order", event.target.value));
element("limit").addEventListener("change", (event) => choose("limit", event.target.value));
element("busiest-first").addEventListener("change", (event) =>
  choose("busiest", event.target.checked ? "1" : ""));
element("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  element("pause").setAttribute("aria-pressed", String(isPaused));
  setText(element("pause"), isPaused ? "Paused" : "Pause");
  if (isPaused) clearTimeout(timer);
  else poll();
});
addEventListener("hashchange", () => {
  readChoices();
  draw();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !isPaused) poll();
});

readChoices();
poll();
