using System.Text;
using Godwit.Api.Disks;

namespace Godwit.Cli.Text;

/// <summary>The value of <c>--disk</c>: PATH[,size=SIZE][,format=FORMAT][,cache=MODE]. A comma in the path is written twice.</summary>
internal static class DiskSpecText
{
    /// <summary>Reads one disk.</summary>
    /// <param name="text">As typed.</param>
    /// <param name="absolute">Makes a path absolute.</param>
    /// <param name="spec">The disk.</param>
    /// <param name="error">What is wrong, when something is.</param>
    public static bool TryParse(string text, Func<string, string> absolute, out DiskSpec? spec, out string? error)
    {
        spec = null;
        var parts = Split(text);
        error = parts[0].Length == 0 ? "it begins with the path of the image file" : null;
        long? size = null;
        DiskFormat? format = null;
        DiskCache? cache = null;
        foreach (var part in parts.Skip(1))
            error ??= ReadSetting(part, ref size, ref format, ref cache);
        if (error is null)
            spec = new DiskSpec(absolute(parts[0]), size, format, cache);
        return error is null;
    }

    private static string? ReadSetting(string part, ref long? size, ref DiskFormat? format, ref DiskCache? cache)
    {
        var equals = part.IndexOf('=', StringComparison.Ordinal);
        var (key, value) = equals < 0 ? (part, "") : (part[..equals], part[(equals + 1)..]);
        switch (key)
        {
            case "size":
                if (size is not null)
                    return "size is given twice";
                if (!ByteSize.TryParse(value, out var bytes) || bytes == 0)
                    return $"\"{value}\" is not a size: {ByteSize.Accepted}";
                size = bytes;
                return null;
            case "format":
                if (format is not null)
                    return "format is given twice";
                if (!DiskFormats.TryParse(value, out var read))
                    return $"\"{value}\" is not a format: use {string.Join(", ", DiskFormats.Words)}";
                format = read;
                return null;
            case "cache":
                if (cache is not null)
                    return "cache is given twice";
                if (!DiskCaches.TryParse(value, out var mode))
                    return $"\"{value}\" is not a cache mode: use {string.Join(", ", DiskCaches.Words)}";
                cache = mode;
                return null;
            default:
                return $"\"{part}\" is none of size=…, format=… and cache=… (a comma in the path is written twice)";
        }
    }

    private static List<string> Split(string text)
    {
        var parts = new List<string>();
        var part = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != ',')
            {
                part.Append(text[i]);
            }
            else if (i + 1 < text.Length && text[i + 1] == ',')
            {
                part.Append(',');
                i++;
            }
            else
            {
                parts.Add(part.ToString());
                part.Clear();
            }
        }

        parts.Add(part.ToString());
        return parts;
    }
}
