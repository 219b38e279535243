namespace Godwit.Storage.Formats.Vhdx;

/// <summary>Chooses which pages of the table leave memory: those not used since the hand came by last. Not thread-safe.</summary>
/// <param name="capacity">Pages that may stay.</param>
internal sealed class BatClock(int capacity)
{
    private readonly List<BatPage> _pages = [];
    private int _hand;

    /// <summary>Pages that may stay. More do while the log's changes to them are not in their places.</summary>
    public int Capacity => capacity;

    public int Count => _pages.Count;

    public void Add(BatPage page) => _pages.Add(page);

    /// <summary>Takes a page out when there are too many; null when there are not, or none can go.</summary>
    /// <param name="applied">The newest log entry whose pages are in their places.</param>
    public BatPage? TakeSurplus(ulong applied)
    {
        // Twice around: the first time takes the marks away.
        for (var steps = _pages.Count > capacity ? 2 * _pages.Count : 0; steps > 0; steps--)
        {
            if (_hand >= _pages.Count)
                _hand = 0;
            var page = _pages[_hand];
            if (!page.WasUsed && page.LoggedIn <= applied)
            {
                _pages[_hand] = _pages[^1];
                _pages.RemoveAt(_pages.Count - 1);
                return page;
            }

            page.WasUsed = false;
            _hand++;
        }

        return null;
    }
}
