using Godwit.Api.Disks;

namespace Godwit.Cli.Text;

/// <summary>The value of <c>--disk</c>: PATH[,size=SIZE][,format=FORMAT][,cache=MODE][,controller=WORD[,number=N][,location=N]].</summary>
internal static class DiskSpecText
{
    private static readonly string[] Keys = ["size", "format", "cache"];

    /// <summary>Reads one disk.</summary>
    /// <param name="text">As typed.</param>
    /// <param name="absolute">Makes a path absolute.</param>
    /// <param name="spec">The disk.</param>
    /// <param name="error">What is wrong, when something is.</param>
    public static bool TryParse(string text, Func<string, string> absolute, out DiskSpec? spec, out string? error)
    {
        spec = null;
        var parts = SpecText.Read(text, Keys, out error);
        if (parts is { Path.Length: 0 })
            error = "it begins with the path of the image file";
        if (parts is null || error is not null)
            return false;
        long? size = null;
        DiskFormat? format = null;
        DiskCache? cache = null;
        error = ReadSize(parts["size"], ref size) ?? ReadFormat(parts["format"], ref format) ?? ReadCache(parts["cache"], ref cache);
        if (error is null)
            spec = new DiskSpec(absolute(parts.Path), size, format, cache, parts.Controller, parts.Number, parts.Location);
        return error is null;
    }

    private static string? ReadSize(string? word, ref long? size)
    {
        if (word is null)
            return null;
        if (!ByteSize.TryParse(word, out var bytes) || bytes == 0)
            return $"\"{word}\" is not a size: {ByteSize.Accepted}";
        size = bytes;
        return null;
    }

    private static string? ReadFormat(string? word, ref DiskFormat? format)
    {
        if (word is null)
            return null;
        if (!DiskFormats.TryParse(word, out var read))
            return $"\"{word}\" is not a format: use {string.Join(", ", DiskFormats.Words)}";
        format = read;
        return null;
    }

    private static string? ReadCache(string? word, ref DiskCache? cache)
    {
        if (word is null)
            return null;
        if (!DiskCaches.TryParse(word, out var mode))
            return $"\"{word}\" is not a cache mode: use {string.Join(", ", DiskCaches.Words)}";
        cache = mode;
        return null;
    }
}
