using Godwit.Api.Disks;

namespace Godwit.Cli.Text;

/// <summary>The value of <c>--dvd</c>: [PATH][,controller=WORD[,number=N][,location=N]].</summary>
internal static class DvdSpecText
{
    /// <summary>Reads one DVD drive.</summary>
    /// <param name="text">As typed.</param>
    /// <param name="absolute">Makes a path absolute.</param>
    /// <param name="error">What is wrong, when something is.</param>
    /// <returns>The drive, or null.</returns>
    public static DvdDriveSpec? Read(string text, Func<string, string> absolute, out string? error) => SpecText.Read(text, [], out error) is { } parts
        ? new DvdDriveSpec(parts.Path.Length == 0 ? null : absolute(parts.Path), parts.Controller, parts.Number, parts.Location)
        : null;
}
