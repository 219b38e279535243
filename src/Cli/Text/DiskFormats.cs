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
