using System.Numerics;
using System.Text;
using Godwit.Storage.Tracking;

namespace Godwit.Nbd.Server;

/// <summary>The contexts an export has at one moment: base:allocation, godwit:layer, and godwit:dirty:NAME for each of its points.</summary>
/// <remarks>A session keeps what it chose from: a point that is removed later goes on as one since which everything has changed.</remarks>
internal sealed class ExportContexts
{
    /// <summary>Contexts there can be.</summary>
    public const int MaxCount = FixedCount + ChangeTracker.MaxPoints;

    private const int FixedCount = 2;
    private readonly IReadOnlyList<ChangePoint> _points;
    private readonly byte[][] _names;

    /// <summary>Looks at an export.</summary>
    public ExportContexts(NbdExport export)
    {
        _points = export.Changes?.Points ?? [];
        _names = ["base:allocation"u8.ToArray(), "godwit:layer"u8.ToArray(), .. _points.Select(point => Encoding.UTF8.GetBytes("godwit:dirty:" + point.Name))];
    }

    /// <summary>Contexts there are.</summary>
    public int Count => _names.Length;

    /// <summary>All of them.</summary>
    public StatusContexts All => (StatusContexts)((1u << Count) - 1);

    /// <summary>The context a bit stands for.</summary>
    public static StatusContexts At(int index) => (StatusContexts)(1u << index);

    /// <summary>The name on the wire.</summary>
    public ReadOnlySpan<byte> NameAt(int index) => _names[index];

    /// <summary>The point of a context; null when it is not that of a point.</summary>
    public ChangePoint? PointOf(StatusContexts context) =>
        context < StatusContexts.FirstPoint ? null : _points[BitOperations.Log2((uint)context) - FixedCount];

    /// <summary>What a query asks for.</summary>
    /// <param name="query">A full name, or one that ends with a colon for all that begin so, where wildcards are allowed.</param>
    /// <param name="wildcards">The query only lists; a choice has to name its contexts in full.</param>
    public StatusContexts Match(ReadOnlySpan<byte> query, bool wildcards)
    {
        var matches = StatusContexts.None;
        for (var i = 0; i < Count; i++)
        {
            if (query.SequenceEqual(_names[i]) || (wildcards && query.EndsWith(":"u8) && _names[i].AsSpan().StartsWith(query)))
                matches |= At(i);
        }

        return matches;
    }
}
