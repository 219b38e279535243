using System.Globalization;
using System.Text;
using Godwit.Api;
using Godwit.Worker.Interop;

namespace Godwit.Worker.Logging;

/// <summary>One line per event on standard error: time, level, text. Never throws: a full disk must not stop a guest.</summary>
/// <param name="time">Stamps the lines.</param>
/// <param name="file">The file that standard error is, to keep it bounded; null when it is something else.</param>
/// <remarks>May be called from any thread.</remarks>
internal sealed class EventLog(TimeProvider time, LogFile? file)
{
    private const int StandardError = 2;
    private readonly Lock _gate = new();
    private long _length = file?.Length ?? 0;
    private List<(DateTimeOffset At, string Level, string Text)>? _held;

    /// <summary>Something happened that an operator may want to know.</summary>
    internal void Note(string text) => Write("info", text);

    /// <summary>Something went wrong and was dealt with.</summary>
    internal void Warn(string text) => Write("warn", text);

    /// <summary>Something went wrong that needs a person.</summary>
    internal void Error(string text) => Write("error", text);

    /// <summary>Keeps lines in memory from now on: a file system that is busy making much stable lets every writer wait, and a guest waits
    /// for who begins to serve it.</summary>
    internal void Hold()
    {
        lock (_gate)
            _held ??= [];
    }

    /// <summary>Writes what was kept, and every further line at once.</summary>
    internal void Release()
    {
        lock (_gate)
        {
            foreach (var (at, level, text) in _held ?? [])
                WriteNow(at, level, text);
            _held = null;
        }
    }

    /// <summary>Writes one line to any descriptor.</summary>
    /// <returns>Its length in bytes.</returns>
    internal static unsafe int Append(int descriptor, DateTimeOffset at, string level, string text)
    {
        // One event is one line, whatever a file name or a message brings along.
        var plain = text.ReplaceLineEndings(" ");
        var line = Encoding.UTF8.GetBytes(
            string.Create(CultureInfo.InvariantCulture, $"{at:yyyy-MM-ddTHH:mm:ss.fffZ} {level} {plain}\n"));
        fixed (byte* bytes = line)
            _ = LibC.Write(descriptor, bytes, (nuint)line.Length);
        return line.Length;
    }

    private void Write(string level, string text)
    {
        lock (_gate)
        {
            if (_held is not null && level != "error")
            {
                _held.Add((time.GetUtcNow(), level, text));
                return;
            }

            // What went before an error explains it.
            Release();
            WriteNow(time.GetUtcNow(), level, text);
        }
    }

    private void WriteNow(DateTimeOffset at, string level, string text)
    {
        _length += Append(StandardError, at, level, text);
        if (file is not null && _length >= LogFile.MaxBytes)
            StartNewFile(file);
    }

    private void StartNewFile(LogFile full)
    {
        try
        {
            var descriptor = full.Open();
            // The runtime's own crash message goes to standard error too, so that is what has to change.
            _ = LibC.Duplicate(descriptor, StandardError);
            _ = LibC.Close(descriptor);
            _length = full.Length;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or GodwitException)
        {
            _length = 0; // Try again after another file's worth.
        }
    }
}
