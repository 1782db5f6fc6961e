// Runs before anything is painted: a page that starts in the wrong palette flashes. Read by `src/ui/theme.ts` later.
(function () {
  try {
    var chosen = localStorage.getItem('tickwire.theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch (_) {
    // Storage may be forbidden; the system's preference holds then.
  }
})();
