namespace Godwit.Api.Disks;

/// <summary>What the name of a new file says about the format its maker wants.</summary>
public static class DiskFileNames
{
    private static readonly (string Ending, DiskFormat Format)[] Endings =
    [
        (".vhd", DiskFormat.VhdDynamic), (".avhd", DiskFormat.VhdDynamic), (".raw", DiskFormat.Raw), (".img", DiskFormat.Raw),
    ];

    /// <summary>The format for a new image when none was given: VHD for the names Windows gives to VHD files, raw for what others call
    /// raw disks, else VHDX. A file whose name says VHD and whose content is VHDX would be opened by nobody.</summary>
    /// <param name="path">The file; need not exist.</param>
    public static DiskFormat FormatFor(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        foreach (var (ending, format) in Endings)
        {
            if (path.EndsWith(ending, StringComparison.OrdinalIgnoreCase))
                return format;
        }

        return DiskFormat.VhdxDynamic;
    }
}
