/* What pages do beyond links and forms. Everything works without it; it only saves steps. */
(() => {
  "use strict";

  const closest = (event, selector) => event.target instanceof Element && event.target.closest(selector);

  /* "/" goes to the search box. */
  document.addEventListener("keydown", (event) => {
    const typing = closest(event, "input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const box = document.querySelector("[data-search]");
      if (box) {
        event.preventDefault();
        box.focus();
        box.select();
      }
    }
    if (event.key === "Escape") {
      document.querySelectorAll("details.menu[open]").forEach((menu) => {
        menu.open = false;
        menu.querySelector("summary").focus();
      });
    }
  });

  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });

    /* data-copy="text", or data-copy-from="#id" */
    const copy = closest(event, "[data-copy], [data-copy-from]");
    if (copy) {
      const from = copy.dataset.copyFrom && document.querySelector(copy.dataset.copyFrom);
      const text = from ? from.value || from.textContent : copy.dataset.copy;
      navigator.clipboard.writeText(text).then(() => {
        const label = copy.querySelector("[data-copy-label]") || copy;
        const before = label.textContent;
        label.textContent = document.body.dataset.copied;
        setTimeout(() => { label.textContent = before; }, 1500);
      });
    }

    /* data-open="#dialog" and data-close */
    const opener = closest(event, "[data-open]");
    if (opener) {
      const dialog = document.querySelector(opener.dataset.open);
      if (dialog) {
        event.preventDefault();
        dialog.showModal();
      }
    }
    const closer = closest(event, "[data-close]");
    if (closer) closer.closest("dialog").close();
  });

  /* data-confirm="question" on a form asks first. */
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  /* data-submit on a select sends its form when changed. */
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  /* data-live="#place" on a button that sends its form into a frame there: it is pressed when the form is opened and when somebody
     stops typing. Each answer gets a frame of its own, shown once it is there, so that nothing flickers and "back" stays what it was. */
  document.querySelectorAll("button[data-live]").forEach((button) => {
    const place = document.querySelector(button.dataset.live);
    let waiting;
    let number = 0;
    const press = () => {
      const frame = place.firstElementChild.cloneNode();
      number += 1;
      frame.name = `${button.dataset.live.slice(1)}-${number}`;
      place.append(frame);
      button.formTarget = frame.name;
      frame.addEventListener("load", () => {
        if (frame.isConnected) while (place.firstElementChild !== frame) place.firstElementChild.remove();
      });
      button.form.requestSubmit(button);
    };
    button.form.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(press, 400);
    });
    press();
  });

  /* data-sortable: its items can be dragged by their grips; their numbers follow, and say the order when the form is sent. */
  const sortable = (list) => {
    let dragged = null;
    list.querySelectorAll("[data-sortable-grip]").forEach((grip) => {
      grip.hidden = false;
      const item = grip.closest("[data-sortable-item]");
      grip.addEventListener("pointerdown", () => { item.draggable = true; });
      item.addEventListener("dragstart", () => { dragged = item; item.classList.add("dragged"); });
      item.addEventListener("dragend", () => {
        item.draggable = false;
        item.classList.remove("dragged");
        dragged = null;
        list.querySelectorAll("[data-sortable-item] > .rule-bar input[type=number]").forEach((box, index) => { box.value = index + 1; });
      });
      item.addEventListener("dragover", (event) => {
        if (!dragged || dragged === item) return;
        event.preventDefault();
        const box = item.getBoundingClientRect();
        item[event.clientY > box.top + box.height / 2 ? "after" : "before"](dragged);
      });
    });
  };
  document.querySelectorAll("[data-sortable]").forEach(sortable);

  /* Charts: <canvas data-chart="#id of a JSON script">, drawn in the theme's colours. */
  const token = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };

  const draw = (canvas) => {
    const chart = JSON.parse(document.querySelector(canvas.dataset.chart).textContent);
    const line = token("--line");
    const muted = token("--muted");
    chart.data.datasets.forEach((series, index) => {
      const colour = token(series.token || `--series-${(index % 6) + 1}`);
      series.borderColor = colour;
      series.backgroundColor = chart.type === "bar" ? colour : colour.replace(/^rgb\(/, "rgba(").replace(/\)$/, ", 0.12)");
      Object.assign(series, chart.type === "bar" ? { maxBarThickness: 26, borderWidth: 0, borderRadius: 2 } : { borderWidth: 2, pointRadius: 0, pointHitRadius: 12, tension: 0.25 });
    });
    const stacked = Boolean(chart.stacked);
    const shown = new Chart(canvas, {
      type: chart.type,
      data: chart.data,
      options: {
        animation: false,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        plugins: {
          legend: { display: chart.data.datasets.length > 1, position: "bottom", labels: { color: muted, boxWidth: 10, boxHeight: 10, useBorderRadius: true, borderRadius: 2 } },
        },
        scales: {
          x: { stacked, grid: { display: false }, ticks: { color: muted, maxRotation: 0, autoSkipPadding: 18 }, border: { color: line } },
          y: { stacked, beginAtZero: true, suggestedMax: chart.max, grid: { color: line }, ticks: { color: muted, precision: chart.precision, maxTicksLimit: 6, callback: chart.unit ? (value) => `${value}${chart.unit}` : undefined }, border: { display: false } },
        },
      },
    });
    canvas.chart = shown;
  };

  const drawAll = (root) => {
    if (typeof Chart === "undefined") return;
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    root.querySelectorAll("canvas[data-chart]").forEach((canvas) => {
      if (!canvas.chart) draw(canvas);
    });
  };
  document.addEventListener("DOMContentLoaded", () => drawAll(document));
  document.addEventListener("htmx:afterSwap", (event) => drawAll(event.target));
})();
