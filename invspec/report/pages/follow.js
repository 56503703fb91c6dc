"use strict";
// What `invspec view` adds to a page: it says how far a run is, and loads what is new.
(() => {
  const MILLISECONDS = 5000;
  const note = document.createElement("p");
  note.className = "faint";
  note.setAttribute("role", "status");
  document.querySelector("header").append(note);
  let shown = null;
  const ask = async () => {
    try {
      const answer = await fetch("state", { cache: "no-store" });
      const now = await answer.text();
      const isReading = document.querySelector("dialog[open]");
      if (shown !== null && now !== shown && !isReading) location.reload();
      shown ??= now;
      note.textContent = now;
    } catch {
      note.textContent = "invspec view has ended";
    }
  };
  ask();
  setInterval(ask, MILLISECONDS);
})();
