"use strict";
(() => {
  const list = document.getElementById("list");
  const jobs = [...list.querySelectorAll(".job")];
  const tools = document.querySelector(".tools");
  const search = document.getElementById("search");
  const sort = document.getElementById("sort");
  const shown = document.getElementById("shown");
  const empty = document.getElementById("empty");
  if (!jobs.length) return;
  tools.hidden = false;

  const trouble = { failed: 0, warned: 1, skipped: 3, done: 2 };
  const by = (name) => (job) => Number(job.dataset[name]);
  const orders = {
    number: [by("number"), 1],
    trouble: [(job) => trouble[job.dataset.mark], 1],
    slow: [by("took"), -1],
    speed: [(job) => Number(job.dataset.speed) || Infinity, 1],
    started: [(job) => Number(job.dataset.started) || Infinity, 1],
  };

  function visible() {
    return [...list.querySelectorAll(".job:not([hidden])")];
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const mark = tools.elements.mark.value;
    let count = 0;
    for (const job of jobs) {
      const fits = (!mark || job.dataset.mark === mark) && words.every((word) => job.dataset.find.includes(word));
      job.hidden = !fits;
      count += fits;
    }
    shown.textContent = count === jobs.length ? `${count} jobs` : `${count} of ${jobs.length} jobs`;
    empty.hidden = count > 0;
  }

  function order() {
    const names = new Intl.Collator(undefined, { numeric: true });
    const [key, sign] = orders[sort.value] || [() => 0, 1];
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      return (x === y ? 0 : sign * (x < y ? -1 : 1)) || by("number")(a) - by("number")(b);
    };
    const named = (a, b) => names.compare(a.dataset.id, b.dataset.id);
    list.append(...[...jobs].sort(sort.value === "id" ? named : compare));
  }

  function clear() {
    search.value = "";
    tools.elements.mark.value = "";
    filter();
  }

  function open(id) {
    const job = id && document.getElementById(id);
    if (!job || !job.classList.contains("job")) return;
    if (job.hidden) clear();
    job.open = true;
    job.scrollIntoView({ block: "center" });
    job.querySelector("summary").focus({ preventScroll: true });
  }

  function step(by) {
    const rows = visible();
    const now = rows.findIndex((job) => job.contains(document.activeElement));
    const next = rows[now < 0 ? (by > 0 ? 0 : rows.length - 1) : now + by];
    if (next) next.querySelector("summary").focus();
  }

  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 80); });
  tools.addEventListener("change", (event) => (event.target === sort ? order() : filter()));
  tools.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#job-'], a[*|href^='#job-']");
    if (!link) return;
    event.preventDefault();
    open((link.getAttribute("href") || "").slice(1));
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input[type=search], select");
    if (event.key === "Escape") { clear(); if (typing) event.target.blur(); }
    else if (typing) return;
    else if (event.key === "/") { event.preventDefault(); search.focus(); search.select(); }
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
  });
  addEventListener("beforeprint", () => jobs.forEach((job) => { if (job.dataset.mark === "failed") job.open = true; }));
  filter();
  open(location.hash.slice(1));
})();
