using Godwit.Fuzz.Engine;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats.Raw;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Targets;

/// <summary>The parent of every differencing image: sound, never written, with data here and there.</summary>
internal static class FuzzParent
{
    private const int Length = (9 << 20) + 512;
    private static readonly MemoryFile Content = Create();

    /// <summary>What children say about it.</summary>
    public static ParentLink Link { get; } = new(
        new Guid("00112233-4455-6677-8899-aabbccddeeff"),
        null,
        new DateTimeOffset(2024, 5, 6, 7, 8, 9, TimeSpan.Zero),
        [
            new ParentPath(ParentPathKind.Relative, @".\parent.vhd"),
            new ParentPath(ParentPathKind.Absolute, @"C:\VMs\parent.vhd"),
        ]);

    /// <summary>An opening of its own, which a disk may own. A read outside it is the child's defect.</summary>
    public static BlockDevice Open() => RawDisk.Open(new StrictFile(Content.Reopen(readOnly: true), readOnly: true, mayWrite: false));

    /// <summary>What a disk needs that says this about its parent: null for one without. The paths it names are looked for too.</summary>
    public static BlockDevice? OpenFor(ParentLink? link)
    {
        if (link is null)
            return null;

        // Nothing is there; what counts is what hostile paths do on the way.
        ParentSearch.Find("/godwit-fuzz/no/such/folder/child", link, PathMap.Empty);
        return Open();
    }

    private static MemoryFile Create()
    {
        var content = new byte[Length];
        for (var at = 0; at < Length; at += 1 << 20)
            new Random(at).NextBytes(content.AsSpan(at, Math.Min(20_000, Length - at)));
        return new MemoryFile(content, "parent");
    }
}
