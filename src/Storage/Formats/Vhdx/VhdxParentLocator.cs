using System.Buffers.Binary;
using System.Text;
using Godwit.Storage.Chains;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>The keys and values by which a differencing disk names its parent.</summary>
/// <remarks>[MS-VHDX] section 2.6.2.6. Keys that are not known here are kept.</remarks>
/// <param name="pairs">In the order of the file.</param>
internal sealed class VhdxParentLocator(IReadOnlyList<KeyValuePair<string, string>> pairs)
{
    private const int MaxPairs = 256;
    private const int HeaderLength = 20;
    private const int PairLength = 12;
    private const string Linkage = "parent_linkage";
    private const string AlternateLinkage = "parent_linkage2";
    private const string RelativePath = "relative_path";
    private const string VolumePath = "volume_path";
    private const string AbsolutePath = "absolute_win32_path";

    private static readonly Guid VhdxType = new("b04aefb7-d19e-4a81-b789-25b8e9445913");

    public IReadOnlyList<KeyValuePair<string, string>> Pairs => pairs;

    /// <summary>Reads the item.</summary>
    /// <param name="item">All its bytes.</param>
    /// <param name="corrupt">Makes the exception for damage.</param>
    /// <exception cref="StorageException">Corrupt: something points outside the item or overlaps, or the parent's identity is missing;
    /// Unsupported: a locator of another type.</exception>
    public static VhdxParentLocator Parse(ReadOnlySpan<byte> item, Func<StorageErrorKind, string, StorageException> corrupt)
    {
        if (item.Length < HeaderLength)
            throw corrupt(StorageErrorKind.Corrupt, $"the parent locator has {item.Length} bytes, fewer than its header's {HeaderLength}");
        var type = new Guid(item[..16]);
        if (type != VhdxType)
            throw corrupt(StorageErrorKind.Unsupported, $"the parent locator is of type {type}; only {VhdxType}, a VHDX file, is known");
        var count = BinaryPrimitives.ReadUInt16LittleEndian(item[18..]);
        if (count > MaxPairs || HeaderLength + (count * PairLength) > item.Length)
            throw corrupt(StorageErrorKind.Corrupt, $"the parent locator claims {count} keys in {item.Length} bytes; at most {MaxPairs} are allowed");
        var used = new List<(long Start, long End)> { (0, HeaderLength + (count * PairLength)) };
        var pairs = new List<KeyValuePair<string, string>>(count);
        for (var index = 0; index < count; index++)
        {
            var pair = item.Slice(HeaderLength + (index * PairLength), PairLength);
            var key = Text(item, pair, 0, 8, used, corrupt);
            if (key.Length == 0 || pairs.Exists(other => other.Key == key))
                throw corrupt(StorageErrorKind.Corrupt, $"the parent locator's key number {index} (\"{key}\") is empty or there twice");
            pairs.Add(new(key, Text(item, pair, 4, 10, used, corrupt)));
        }

        used.Sort();
        for (var index = 1; index < used.Count; index++)
        {
            if (used[index].Start < used[index - 1].End)
                throw corrupt(StorageErrorKind.Corrupt, $"texts of the parent locator overlap at {used[index].Start}");
        }

        var locator = new VhdxParentLocator(pairs);
        if (ParseLinkage(locator.Find(Linkage)) is null)
        {
            throw corrupt(StorageErrorKind.Corrupt,
                $"the parent locator's {Linkage} is {(locator.Find(Linkage) is string found ? $"\"{found}\", which is no GUID" : "missing")};"
                + " the parent cannot be told by its identity");
        }

        return locator;
    }

    /// <summary>A locator that names a parent.</summary>
    /// <param name="link">The parent; at most one path of each kind.</param>
    /// <param name="refuse">Makes the exception for what cannot be written.</param>
    /// <param name="kept">A locator whose other keys are taken over.</param>
    /// <exception cref="StorageException">InvalidRequest: there is no key for such a path, or a path is too long.</exception>
    public static VhdxParentLocator From(ParentLink link, Func<string, StorageException> refuse, VhdxParentLocator? kept = null)
    {
        var pairs = new List<KeyValuePair<string, string>> { new(Linkage, link.Linkage.ToString("B")) };
        if (link.Alternate is Guid alternate)
            pairs.Add(new(AlternateLinkage, alternate.ToString("B")));
        foreach (var path in link.Paths)
        {
            var key = KeyOf(path.Kind) ?? throw refuse($"a VHDX has no place for a path of the kind {path.Kind}");
            var text = path.Kind == ParentPathKind.Relative ? ToWindows(path.Text) : path.Text;
            if (path.Text.Length == 0 || text.Length > ushort.MaxValue / sizeof(char) || pairs.Exists(other => other.Key == key))
                throw refuse($"the parent's path of the kind {path.Kind} is empty, longer than 32,767 characters, or there twice");
            pairs.Add(new(key, text));
        }

        foreach (var pair in kept?.Pairs ?? [])
        {
            if (KindOf(pair.Key) is null && pair.Key is not (Linkage or AlternateLinkage))
                pairs.Add(pair);
        }

        return new VhdxParentLocator(pairs);
    }

    /// <summary>What the locator says.</summary>
    public ParentLink ToLink()
    {
        var alternate = ParseLinkage(Find(AlternateLinkage));
        var paths = new List<ParentPath>();
        foreach (var (key, text) in pairs)
        {
            if (KindOf(key) is ParentPathKind kind && text.Length > 0)
                paths.Add(new ParentPath(kind, text.TrimEnd('\0')));
        }

        return new ParentLink(ParseLinkage(Find(Linkage)) ?? default, alternate == Guid.Empty ? null : alternate, null, paths);
    }

    /// <summary>The item for the file.</summary>
    public byte[] ToBytes()
    {
        var length = HeaderLength + (pairs.Count * PairLength);
        var next = length;
        foreach (var (key, value) in pairs)
            length += (key.Length + value.Length) * sizeof(char);
        var bytes = new byte[length];
        VhdxType.TryWriteBytes(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(18), (ushort)pairs.Count);
        for (var index = 0; index < pairs.Count; index++)
        {
            var pair = bytes.AsSpan(HeaderLength + (index * PairLength), PairLength);
            next = Put(bytes, pair, 0, 8, pairs[index].Key, next);
            next = Put(bytes, pair, 4, 10, pairs[index].Value, next);
        }

        return bytes;
    }

    private static int Put(byte[] bytes, Span<byte> pair, int offsetAt, int lengthAt, string text, int next)
    {
        var length = Encoding.Unicode.GetBytes(text, bytes.AsSpan(next));
        BinaryPrimitives.WriteInt32LittleEndian(pair[offsetAt..], next);
        BinaryPrimitives.WriteUInt16LittleEndian(pair[lengthAt..], (ushort)length);
        return next + length;
    }

    private static string Text(
        ReadOnlySpan<byte> item, ReadOnlySpan<byte> pair, int offsetAt, int lengthAt, List<(long Start, long End)> used,
        Func<StorageErrorKind, string, StorageException> corrupt)
    {
        long offset = BinaryPrimitives.ReadUInt32LittleEndian(pair[offsetAt..]);
        long length = BinaryPrimitives.ReadUInt16LittleEndian(pair[lengthAt..]);
        if (length % sizeof(char) != 0 || offset > item.Length - length)
            throw corrupt(StorageErrorKind.Corrupt, $"a text of the parent locator ({length} bytes at {offset}) is not inside its {item.Length} bytes");
        if (length > 0)
            used.Add((offset, offset + length));
        return Encoding.Unicode.GetString(item.Slice((int)offset, (int)length));
    }

    private static Guid? ParseLinkage(string? text)
    {
        // Windows writes braces; other programs leave them out or end the text with a zero.
        var trimmed = text?.TrimEnd('\0').Trim();
        return Guid.TryParseExact(trimmed, "B", out var linkage) || Guid.TryParseExact(trimmed, "D", out linkage) ? linkage : null;
    }

    private static string ToWindows(string path)
    {
        var text = path.Replace('/', '\\');
        return text.StartsWith(".\\", StringComparison.Ordinal) || text.StartsWith("..\\", StringComparison.Ordinal) ? text : ".\\" + text;
    }

    private static ParentPathKind? KindOf(string key) => key switch
    {
        RelativePath => ParentPathKind.Relative,
        VolumePath => ParentPathKind.Volume,
        AbsolutePath => ParentPathKind.Absolute,
        _ => null,
    };

    private static string? KeyOf(ParentPathKind kind) => kind switch
    {
        ParentPathKind.Relative => RelativePath,
        ParentPathKind.Volume => VolumePath,
        ParentPathKind.Absolute => AbsolutePath,
        _ => null,
    };

    private string? Find(string key)
    {
        foreach (var pair in pairs)
        {
            if (pair.Key == key)
                return pair.Value;
        }

        return null;
    }
}
