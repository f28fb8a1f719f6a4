
"use strict";
{
  // The page works without this script: it adds the search, the count, and the button that expands all entries.
  const entries = [...document.querySelectorAll(".entry")];
  const turns = [...document.querySelectorAll(".turn")];
  const query = document.getElementById("query");
  const toggle = document.getElementById("toggle");
  const texts = new Map();

  const textOf = (entry) => {
    if (!texts.has(entry)) {
      const parts = [...entry.querySelectorAll(".what > b, .more, .details")].map((part) => part.textContent);
      texts.set(entry, parts.join(" ").toLowerCase());
    }
    return texts.get(entry);
  };
  const boxOf = (entry) => document.getElementById(`show-${entry.dataset.kind}`);

  const refresh = () => {
    const wanted = query.value.trim().toLowerCase();
    let shown = 0;
    for (const entry of entries) {
      const missed = wanted !== "" && !textOf(entry).includes(wanted);
      entry.classList.toggle("missed", missed);
      if (!missed && boxOf(entry).checked) shown += 1;
    }
    for (const turn of turns) {
      const some = [...turn.querySelectorAll(".entry:not(.missed)")].some((entry) => boxOf(entry).checked);
      turn.classList.toggle("missed", !some);
    }
    document.getElementById("count").textContent =
      shown === entries.length ? `${shown} entries` : `${shown} of ${entries.length} entries`;
    document.getElementById("nothing").hidden = shown > 0;
  };

  const open = () => {
    const entry = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    if (entry === null || !entry.classList.contains("entry")) return;
    boxOf(entry).checked = true;
    if (entry.classList.contains("missed")) query.value = "";
    refresh();
    const details = entry.querySelector("details");
    details.open = true;
    details.querySelector("summary").focus({ preventScroll: true });
    entry.scrollIntoView({ block: "center" });
  };

  document.documentElement.classList.add("js");
  query.addEventListener("input", refresh);
  document.querySelector(".kinds").addEventListener("change", refresh);
  toggle.addEventListener("click", () => {
    const all = toggle.getAttribute("aria-pressed") !== "true";
    for (const entry of entries) entry.querySelector("details").open = all;
    toggle.setAttribute("aria-pressed", String(all));
    toggle.textContent = all ? "Collapse all" : "Expand all";
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement && event.target.type === "search";
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      query.focus();
    } else if (event.key === "Escape" && typing) {
      query.value = "";
      refresh();
    }
  });
  window.addEventListener("hashchange", open);
  refresh();
  open();
}
