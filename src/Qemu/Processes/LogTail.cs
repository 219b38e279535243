using System.Text;

namespace Godwit.Qemu.Processes;

/// <summary>Reads the end of a log for a message.</summary>
internal static class LogTail
{
    private const int Bytes = 4 << 10;
    private const int Lines = 4;

    /// <summary>The last lines in one, or nothing when the file cannot be read.</summary>
    /// <param name="path">The log.</param>
    /// <param name="from">Lines before this offset are of earlier runs and are left out.</param>
    public static string Read(string path, long from = 0)
    {
        try
        {
            using var file = File.OpenHandle(path, share: FileShare.ReadWrite | FileShare.Delete);
            var start = Math.Max(from, RandomAccess.GetLength(file) - Bytes);
            var bytes = new byte[Bytes];
            var text = Encoding.UTF8.GetString(bytes, 0, RandomAccess.Read(file, bytes, start));
            return string.Join(" | ", text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).TakeLast(Lines));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    /// <summary>Where the log ends now; 0 when there is none.</summary>
    public static long EndOf(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;
}
