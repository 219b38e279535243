using System.Collections;
using Godwit.Nbd;

namespace Godwit.Worker.Serving;

/// <summary>The exports offered now. Grows while the server runs, when a disk that could not be opened is well again.</summary>
/// <remarks>Safe from any thread: readers see one array or the next.</remarks>
internal sealed class ExportTable : IReadOnlyList<NbdExport>
{
    private readonly Lock _gate = new();
    private volatile NbdExport[] _exports = [];

    /// <inheritdoc/>
    public int Count => _exports.Length;

    /// <inheritdoc/>
    public NbdExport this[int index] => _exports[index];

    /// <inheritdoc/>
    public IEnumerator<NbdExport> GetEnumerator() => ((IEnumerable<NbdExport>)_exports).GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Offers one more.</summary>
    internal void Add(NbdExport export)
    {
        lock (_gate)
            _exports = [.. _exports, export];
    }
}
