using Godwit.Api.Disks;
using Godwit.Storage.Files;

namespace Godwit.Cli.Text;

/// <summary>The words for cache modes, which are QEMU's.</summary>
internal static class DiskCaches
{
    /// <summary>Every word there is.</summary>
    public static readonly string[] Words = ["none", "writethrough", "writeback"];

    /// <summary>Reads a word.</summary>
    public static bool TryParse(string word, out DiskCache cache)
    {
        DiskCache? found = word switch
        {
            "none" => DiskCache.None,
            "writethrough" => DiskCache.Writethrough,
            "writeback" => DiskCache.Writeback,
            _ => null,
        };
        cache = found ?? default;
        return found is not null;
    }

    /// <summary>The word for a mode; null is writeback.</summary>
    public static string Word(DiskCache? cache) => cache switch
    {
        DiskCache.None => "none",
        DiskCache.Writethrough => "writethrough",
        _ => "writeback",
    };

    /// <summary>What it means for the file.</summary>
    public static FileCache ToFile(this DiskCache cache) => cache == DiskCache.None ? FileCache.None : FileCache.Writeback;
}
