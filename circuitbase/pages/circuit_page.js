"use strict";
// Shows the numbers of units and edges, keeps what was clicked, filters and searches. Text goes in as text only.
(() => {
  const { units, edges } = JSON.parse(document.getElementById("circuit").textContent);
  const svg = document.getElementById("drawing");
  const panel = document.getElementById("panel");
  const welcome = [...panel.childNodes];
  const nodeOf = units.map((_, at) => document.getElementById("u" + at));
  const pathOf = edges.map((_, at) => document.getElementById("e" + at));
  const touchOf = edges.map((_, at) => document.getElementById("t" + at));
  const into = units.map(() => []);
  const from = units.map(() => []);
  edges.forEach((edge, at) => { from[edge.source].push(at); into[edge.target].push(at); });
  const isOn = edges.map(() => true);
  let pinned = null; // {unit} or {edge}

  const element = (tag, text, name) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  };
  const title = (unit) => (unit.label === unit.name ? unit.label : unit.label + " · " + unit.name);

  function numberList(numbers) {
    const list = element("dl");
    for (const [name, value] of numbers) list.append(element("dt", name), element("dd", value));
    return list;
  }

  function edgeList(heading, numbers, end) {
    const shown = numbers.filter((at) => isOn[at]).sort((a, b) => edges[b].influence - edges[a].influence);
    if (!shown.length) return [];
    const list = element("ul");
    for (const at of shown) {
      const button = element("button", undefined, edges[at].weight < 0 ? "lowers" : "");
      button.type = "button";
      const number = edges[at].influence.toPrecision(2) + " · " + Math.round(100 * edges[at].presence) + "%";
      button.append(element("span", title(units[edges[at][end]])), element("span", number, "number"));
      button.addEventListener("click", () => pin({ edge: at }));
      const item = element("li");
      item.append(button);
      list.append(item);
    }
    return [element("h3", heading + " (" + shown.length + "): influence, presence"), list];
  }

  function show(chosen) {
    const isUnit = chosen && chosen.unit !== undefined;
    const nearEdges = !chosen ? [] : isUnit ? [...into[chosen.unit], ...from[chosen.unit]] : [chosen.edge];
    const nearUnits = new Set(isUnit ? [chosen.unit] : []);
    for (const at of nearEdges) if (isOn[at]) { nearUnits.add(edges[at].source); nearUnits.add(edges[at].target); }
    const near = new Set(nearEdges);
    svg.classList.toggle("choosing", Boolean(chosen));
    nodeOf.forEach((node, at) => {
      node.classList.toggle("near", nearUnits.has(at));
      node.classList.toggle("chosen", Boolean(isUnit && chosen.unit === at));
    });
    pathOf.forEach((path, at) => path.classList.toggle("near", near.has(at)));
    if (!chosen) { panel.replaceChildren(...welcome); return; }
    if (isUnit) {
      const unit = units[chosen.unit];
      panel.replaceChildren(
        element("h2", unit.label), element("p", [unit.name, unit.place, unit.id].filter(Boolean).join(" · ")),
        numberList(unit.numbers), ...edgeList("From", into[chosen.unit], "source"),
        ...edgeList("To", from[chosen.unit], "target"));
    } else {
      const edge = edges[chosen.edge];
      panel.replaceChildren(
        element("h2", title(units[edge.source]) + " → " + title(units[edge.target])),
        element("p", edge.weight < 0 ? "lowers its target" : "raises its target"), numberList(edge.numbers));
      const list = element("ul");
      for (const [said, at] of [["Source: ", edge.source], ["Target: ", edge.target]]) {
        const button = element("button", said + title(units[at]));
        button.type = "button";
        button.addEventListener("click", () => { pin({ unit: at }); nodeOf[at].focus(); });
        const item = element("li");
        item.append(button);
        list.append(item);
      }
      panel.append(element("h3", "Its ends"), list);
    }
    if (chosen === pinned) panel.append(element("p", "Kept: click it again, or press Escape, to let it go."));
  }

  const same = (a, b) => a && b && a.unit === b.unit && a.edge === b.edge;
  function pin(chosen) {
    pinned = same(pinned, chosen) ? null : chosen;
    nodeOf.forEach((node, at) => node.setAttribute("aria-pressed", String(Boolean(pinned && pinned.unit === at))));
    show(pinned);
  }
  const hover = (chosen) => { if (!pinned) show(chosen); };

  function strongest(numbers) {
    return numbers.filter((at) => isOn[at]).sort((a, b) => edges[b].influence - edges[a].influence)[0];
  }
  nodeOf.forEach((node, at) => {
    node.addEventListener("pointerenter", () => hover({ unit: at }));
    node.addEventListener("pointerleave", () => hover(null));
    node.addEventListener("focus", () => hover({ unit: at }));
    node.addEventListener("blur", () => hover(null));
    node.addEventListener("click", (event) => { event.stopPropagation(); pin({ unit: at }); });
    node.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pin({ unit: at }); return; }
      const edge = event.key === "ArrowUp" ? strongest(from[at]) : event.key === "ArrowDown" ? strongest(into[at]) : undefined;
      if (edge === undefined) return;
      event.preventDefault();
      nodeOf[event.key === "ArrowUp" ? edges[edge].target : edges[edge].source].focus();
    });
  });
  touchOf.forEach((path, at) => {
    path.addEventListener("pointerenter", () => hover({ edge: at }));
    path.addEventListener("pointerleave", () => hover(null));
    path.addEventListener("click", (event) => { event.stopPropagation(); pin({ edge: at }); });
  });
  svg.addEventListener("click", () => { if (pinned) pin(pinned); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && pinned) pin(pinned); });

  const presence = document.getElementById("presence");
  const influence = document.getElementById("influence");
  const said = document.getElementById("said");
  const positive = edges.map((edge) => edge.influence).filter((value) => value > 0);
  const lowest = Math.log(Math.min(...positive, Infinity)), highest = Math.log(Math.max(...positive, 0));
  const leastInfluence = () => {
    const part = Number(influence.value) / 100;
    return part === 0 || !positive.length ? 0 : Math.exp(lowest + part * (highest - lowest)) * (1 - 1e-9);
  };
  function filter() {
    const leastPresence = Number(presence.value) / 100 - 1e-9, least = leastInfluence();
    document.getElementById("presence-said").textContent = presence.value + " %";
    document.getElementById("influence-said").textContent = least ? least.toPrecision(2) : "any";
    const isThere = units.map((unit) => unit.role === "output" || unit.presence >= leastPresence);
    const isJoined = units.map((unit) => unit.role === "output");
    edges.forEach((edge, at) => {
      isOn[at] = edge.presence >= leastPresence && edge.influence >= least && isThere[edge.source] && isThere[edge.target];
      for (const path of [pathOf[at], touchOf[at]]) path.classList.toggle("off", !isOn[at]);
      if (isOn[at]) { isJoined[edge.source] = true; isJoined[edge.target] = true; }
    });
    nodeOf.forEach((node, at) => node.classList.toggle("off", !isJoined[at]));
    said.textContent = isJoined.filter(Boolean).length + " units, " + isOn.filter(Boolean).length + " edges";
    show(pinned);
  }
  presence.addEventListener("input", filter);
  influence.addEventListener("input", filter);

  const search = document.getElementById("search");
  const hits = document.getElementById("hits");
  const found = () => nodeOf.filter((node) => node.classList.contains("found") && !node.classList.contains("off"));
  search.addEventListener("input", () => {
    const words = search.value.trim().toLowerCase();
    svg.classList.toggle("searching", Boolean(words));
    nodeOf.forEach((node, at) => {
      const text = [units[at].label, units[at].name, units[at].place, units[at].id].join(" ").toLowerCase();
      node.classList.toggle("found", Boolean(words) && text.includes(words));
    });
    hits.textContent = words ? found().length + " found" : "";
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && found().length) { found()[0].focus(); found()[0].scrollIntoView({ block: "center", inline: "center" }); }
  });

  const frame = document.getElementById("frame");
  const width = svg.viewBox.baseVal.width, height = svg.viewBox.baseVal.height;
  let scale = 1;
  function zoom(wanted) {
    const x = (frame.scrollLeft + frame.clientWidth / 2) / scale, y = (frame.scrollTop + frame.clientHeight / 2) / scale;
    scale = Math.min(4, Math.max(0.1, wanted));
    svg.setAttribute("width", width * scale);
    svg.setAttribute("height", height * scale);
    frame.scrollLeft = x * scale - frame.clientWidth / 2;
    frame.scrollTop = y * scale - frame.clientHeight / 2;
  }
  const fit = () => zoom(Math.min(frame.clientWidth / width, frame.clientHeight / height));
  document.getElementById("larger").addEventListener("click", () => zoom(scale * 1.25));
  document.getElementById("smaller").addEventListener("click", () => zoom(scale / 1.25));
  document.getElementById("fit").addEventListener("click", fit);
  document.getElementById("full").addEventListener("click", () => zoom(1));
  frame.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(scale * Math.exp(-event.deltaY / 400));
  }, { passive: false });
  // a circuit that fits about as large as it is drawn is shown whole, a larger one at a size that can be read
  const whole = Math.min(frame.clientWidth / width, frame.clientHeight / height);
  zoom(whole > 0.85 ? Math.min(whole, 1.3) : Math.max(0.85, Math.min(1, frame.clientWidth / width)));
  filter();
})();
