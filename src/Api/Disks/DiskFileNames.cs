namespace Godwit.Api.Disks;

/// <summary>What the name of a new file says about the format its maker wants.</summary>
public static class DiskFileNames
{
    /// <summary>The format for a new image when none was given: VHD for the names Windows gives to VHD files, else VHDX. A file whose
    /// name says VHD and whose content is VHDX would be opened by nobody.</summary>
    /// <param name="path">The file; need not exist.</param>
    public static DiskFormat FormatFor(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return path.EndsWith(".vhd", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".avhd", StringComparison.OrdinalIgnoreCase)
            ? DiskFormat.VhdDynamic
            : DiskFormat.VhdxDynamic;
    }
}
