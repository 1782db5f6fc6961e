// Runs before anything is painted: a page that starts in the wrong palette flashes. `src/ui/preferences.ts` keeps the choice,
// `src/ui/theme.ts` goes on from here. The style sheet knows only the theme that is shown, whoever chose it.
(function () {
  var chosen;
  try {
    var kept = localStorage.getItem('tickwire.preferences');
    // The second key is where the theme was kept before there were other preferences.
    chosen = kept === null ? localStorage.getItem('tickwire.theme') : JSON.parse(kept).theme;
  } catch (_) {
    // Storage may be forbidden, or hold something else; the system's preference holds then.
  }
  if (chosen !== 'light' && chosen !== 'dark') chosen = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark';
  document.documentElement.dataset.theme = chosen;
})();
