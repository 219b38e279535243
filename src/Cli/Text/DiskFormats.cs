using Godwit.Api.Disks;

namespace Godwit.Cli.Text;

/// <summary>The words for image formats on the command line and in tables.</summary>
internal static class DiskFormats
{
    /// <summary>Every word there is.</summary>
    public static readonly string[] Words = ["vhdx", "vhdx-fixed", "vhdx-differencing", "vhd", "vhd-fixed", "vhd-differencing", "raw"];

    /// <summary>Reads a word.</summary>
    public static bool TryParse(string word, out DiskFormat format)
    {
        DiskFormat? found = word switch
        {
            "vhdx" => DiskFormat.VhdxDynamic,
            "vhdx-fixed" => DiskFormat.VhdxFixed,
            "vhdx-differencing" => DiskFormat.VhdxDifferencing,
            "vhd" => DiskFormat.VhdDynamic,
            "vhd-fixed" => DiskFormat.VhdFixed,
            "vhd-differencing" => DiskFormat.VhdDifferencing,
            "raw" => DiskFormat.Raw,
            _ => null,
        };
        format = found ?? default;
        return found is not null;
    }

    /// <summary>The words for the kinds within a family.</summary>
    public static readonly string[] Subtypes = ["dynamic", "fixed", "differencing"];

    /// <summary>A family's kind: "vhd" and "fixed" make vhd-fixed; null when neither was given.</summary>
    /// <exception cref="UsageException">A raw file has no kinds.</exception>
    public static DiskFormat? Combine(DiskFormat? format, string? subtype)
    {
        if (subtype is null)
            return format;
        var vhd = format is DiskFormat.VhdDynamic or DiskFormat.VhdFixed or DiskFormat.VhdDifferencing;
        return (format, subtype) switch
        {
            (DiskFormat.Raw, _) => throw new UsageException("--subtype: a raw file has none"),
            (_, "fixed") => vhd ? DiskFormat.VhdFixed : DiskFormat.VhdxFixed,
            (_, "differencing") => vhd ? DiskFormat.VhdDifferencing : DiskFormat.VhdxDifferencing,
            _ => vhd ? DiskFormat.VhdDynamic : DiskFormat.VhdxDynamic,
        };
    }

    /// <summary>The word for a format.</summary>
    public static string Word(DiskFormat format) => format switch
    {
        DiskFormat.VhdxDynamic => "vhdx",
        DiskFormat.VhdxFixed => "vhdx-fixed",
        DiskFormat.VhdxDifferencing => "vhdx-differencing",
        DiskFormat.VhdDynamic => "vhd",
        DiskFormat.VhdFixed => "vhd-fixed",
        DiskFormat.VhdDifferencing => "vhd-differencing",
        _ => "raw",
    };
}
