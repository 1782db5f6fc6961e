// Runs before anything is painted: a page that starts in the wrong palette flashes. `src/ui/preferences.ts` keeps the choice.
(function () {
  try {
    var kept = localStorage.getItem('tickwire.preferences');
    // The second key is where the theme was kept before there were other preferences.
    var chosen = kept === null ? localStorage.getItem('tickwire.theme') : JSON.parse(kept).theme;
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch (_) {
    // Storage may be forbidden, or hold something else; the system's preference holds then.
  }
})();
