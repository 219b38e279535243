using Godwit.Storage.Chains;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhd;

/// <summary>What a child is to say about its parent, in the form of the file.</summary>
internal sealed class VhdParentPaths
{
    private readonly ParentLink _parent;
    private readonly string _name;
    private readonly List<VhdLocator> _entries;
    private readonly List<byte[]> _paths = [];
    private readonly long _offset;

    /// <summary>Checks and encodes the paths.</summary>
    /// <param name="path">The child, for messages.</param>
    /// <param name="parent">The parent.</param>
    /// <param name="name">Its file name.</param>
    /// <param name="kept">Entries that stay as they are.</param>
    /// <param name="offset">Where in the child the paths go; whole sectors.</param>
    /// <exception cref="StorageException">InvalidRequest: they do not fit.</exception>
    public VhdParentPaths(string path, ParentLink parent, string name, IEnumerable<VhdLocator> kept, long offset)
    {
        _parent = parent;
        _name = name;
        _offset = offset;
        End = offset;
        _entries = [.. kept];
        if (!VhdDynamicHeader.Fits(name))
            throw Refuse($"the parent's name has {name.Length} characters, there is room for 256");
        foreach (var place in parent.Paths)
        {
            if (VhdLocator.Encode(place, End) is not (VhdLocator entry, byte[] bytes))
                continue;
            if (bytes.Length > VhdFormat.MaxLocatorLength || _entries.Count == VhdFormat.LocatorCount)
                throw Refuse($"the parent's paths need more than {VhdFormat.LocatorCount} entries of up to 64 KiB");
            _entries.Add(entry);
            _paths.Add(bytes);
            End += VhdFormat.AlignUp(bytes.Length, VhdFormat.Sector);
        }

        StorageException Refuse(string reason) => new(StorageErrorKind.InvalidRequest, reason, path, operation: "set parent");
    }

    /// <summary>Behind the paths.</summary>
    public long End { get; }

    /// <summary>The parent's bare file name: as given, else the last part of any path.</summary>
    public static string NameOf(ParentLink parent)
    {
        var text = "";
        foreach (var path in parent.Paths)
        {
            if (text.Length == 0 || path.Kind == ParentPathKind.Name)
                text = path.Text;
        }

        return text[(text.LastIndexOfAny(['/', '\\']) + 1)..];
    }

    public VhdDynamicHeader ApplyTo(VhdDynamicHeader header) => header.WithParent(
        _parent.Linkage, _parent.Modified is DateTimeOffset time ? VhdFooter.ToStamp(time) : 0, _name, _entries);

    /// <summary>Writes the paths, each in sectors of its own.</summary>
    /// <returns>Behind them.</returns>
    public async ValueTask<long> WriteAsync(IStorageFile file, CancellationToken cancellationToken)
    {
        var bytes = new byte[End - _offset];
        var at = 0;
        foreach (var path in _paths)
        {
            path.CopyTo(bytes, at);
            at += (int)VhdFormat.AlignUp(path.Length, VhdFormat.Sector);
        }

        if (bytes.Length > 0)
            await file.WriteAsync(_offset, bytes, cancellationToken).ConfigureAwait(false);
        return End;
    }
}
