using System.Globalization;
using System.Text;

namespace Godwit.Testing.Guest;

/// <summary>
/// Follows the file that receives the guest's serial output and stamps every line with the host's monotonic clock as it
/// arrives (a pause of the guest cannot hide from it). Lines that are torn or not ours are kept as text and otherwise ignored.
/// </summary>
/// <remarks>A thread of its own reads every millisecond, so a busy thread pool does not show up as a gap.
/// All members may be called from any thread.</remarks>
public sealed class GuestLog : IDisposable
{
    private readonly string _path;
    private readonly TimeProvider _clock;
    private readonly Thread _reader;
    private readonly ManualResetEventSlim _stop = new(false);
    private readonly Lock _lock = new();
    private readonly List<GuestBoot> _boots = [];
    private readonly List<string> _text = [];
    private readonly StringBuilder _line = new();
    private long _position;

    /// <summary>Starts to follow; the file need not exist yet.</summary>
    public GuestLog(string path, TimeProvider? clock = null)
    {
        _path = path;
        _clock = clock ?? TimeProvider.System;
        _reader = new Thread(Follow) { IsBackground = true, Name = "guest log" };
        _reader.Start();
    }

    /// <summary>The clock's reading now; marks the ends of a window.</summary>
    public long Now => _clock.GetTimestamp();

    /// <summary>Boots seen so far, oldest first.</summary>
    public IReadOnlyList<GuestBoot> Boots => Locked(() => _boots.ToArray());

    /// <summary>Every line that is neither heartbeat nor acknowledgement, oldest first.</summary>
    public IReadOnlyList<string> Text => Locked(() => _text.ToArray());

    /// <summary>Writes acknowledged to the guest, over all boots.</summary>
    public int AcknowledgedCount => Locked(() => _boots.Sum(boot => boot.Acknowledged.Count));

    /// <summary>Writes that failed in the guest, over all boots.</summary>
    public int ErrorCount => Locked(() => _boots.Sum(boot => boot.Errors.Count));

    /// <summary>Heartbeats seen, over all boots.</summary>
    public int HeartbeatCount => Locked(() => _boots.Sum(boot => boot.Heartbeats.Count));

    /// <summary>All acknowledgements of a boot so far, in the order in which they arrived.</summary>
    public GuestAcknowledgement[] AcknowledgementsOf(GuestBoot boot) => Locked(() => boot.Acknowledged.ToArray());

    /// <summary>The longest time without a heartbeat. A gap counts whole when it touches the window; without an end the
    /// window ends at the last heartbeat. Time between two boots is no gap.</summary>
    public TimeSpan LongestHeartbeatGap(long from = 0, long? to = null) => Locked(() =>
    {
        var longest = 0L;
        foreach (var boot in _boots)
            longest = Math.Max(longest, LongestGap(boot.Heartbeats, from, to, isLast: boot == _boots[^1]));
        return _clock.GetElapsedTime(0, longest);
    });

    /// <summary>The longest time without an acknowledged write; windows as in <see cref="LongestHeartbeatGap"/>.</summary>
    public TimeSpan LongestStall(long from = 0, long? to = null) => Locked(() =>
    {
        var longest = 0L;
        foreach (var boot in _boots)
            longest = Math.Max(longest, LongestGap(boot.Acknowledged.ConvertAll(a => a.Stamp), from, to, isLast: boot == _boots[^1]));
        return _clock.GetElapsedTime(0, longest);
    });

    /// <summary>Waits until a line starts with <paramref name="prefix"/>, counting from the <paramref name="skip"/>-th entry of
    /// <see cref="Text"/> on, and returns it.</summary>
    /// <exception cref="TimeoutException">It did not come; the message has the last lines.</exception>
    public async Task<string> WaitForLineAsync(string prefix, TimeSpan limit, CancellationToken cancellationToken, int skip = 0)
    {
        string? found = null;
        await WaitUntilAsync(
            () => (found = Locked(() => _text.Skip(skip).FirstOrDefault(l => l.StartsWith(prefix, StringComparison.Ordinal)))) is not null,
            $"a line \"{prefix}\"", limit, cancellationToken);
        return found!;
    }

    /// <summary>Waits until that many writes have been acknowledged in all.</summary>
    /// <exception cref="TimeoutException">They were not; the message has the last lines.</exception>
    public Task WaitForAcknowledgedAsync(int count, TimeSpan limit, CancellationToken cancellationToken) =>
        WaitUntilAsync(() => AcknowledgedCount >= count, $"{count} acknowledged writes", limit, cancellationToken);

    /// <summary>Reads what is there and stops following. What was read stays.</summary>
    public void Dispose()
    {
        _stop.Set();
        if (_reader != Thread.CurrentThread)
            _reader.Join();
    }

    /// <summary>The longest gap between stamps; the arithmetic of the two members above.</summary>
    public static long LongestGap(IReadOnlyList<long> stamps, long from, long? to, bool isLast)
    {
        var longest = 0L;
        for (var i = 1; i < stamps.Count; i++)
        {
            if (stamps[i] > from && (to is not long end || stamps[i - 1] < end))
                longest = Math.Max(longest, stamps[i] - stamps[i - 1]);
        }

        // Silence up to the end of the window is a gap too; a boot that is over owes no more heartbeats.
        if (isLast && to is long until && stamps.Count > 0 && stamps[^1] < until)
            longest = Math.Max(longest, until - stamps[^1]);
        return longest;
    }

    private async Task WaitUntilAsync(Func<bool> met, string what, TimeSpan limit, CancellationToken cancellationToken)
    {
        var begun = Now;
        while (!met())
        {
            if (_clock.GetElapsedTime(begun) > limit)
            {
                var tail = string.Join('\n', Text.TakeLast(20));
                throw new TimeoutException(
                    $"{_path}: no {what} within {limit.TotalSeconds:0.#} s ({AcknowledgedCount} acknowledged, {HeartbeatCount} heartbeats); last lines:\n{tail}");
            }

            await Task.Delay(2, cancellationToken);
        }
    }

    private void Follow()
    {
        var buffer = new byte[64 << 10];
        FileStream? file = null;
        var last = false;
        while (true)
        {
            file ??= TryOpen();
            int n;
            while (file is not null && (n = file.Read(buffer)) > 0)
                Take(buffer.AsSpan(0, n), Now);
            if (last)
                break;
            last = _stop.Wait(1);
        }

        file?.Dispose();
    }

    private FileStream? TryOpen() => !File.Exists(_path)
        ? null
        : new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 1) { Position = _position };

    private void Take(ReadOnlySpan<byte> bytes, long stamp)
    {
        _position += bytes.Length;
        lock (_lock)
        {
            foreach (var b in bytes)
            {
                if (b != '\n')
                {
                    if (b != '\r')
                        _line.Append((char)b);
                    continue;
                }

                TakeLine(AfterFirmware(_line.ToString()), stamp);
                _line.Clear();
            }
        }
    }

    // UEFI firmware clears its screen on the same line, just before the guest begins.
    private static string AfterFirmware(string line)
    {
        var at = line.LastIndexOf('\x1b');
        while (at >= 0 && at < line.Length && !char.IsAsciiLetter(line[at]))
            at++;
        return at < 0 ? line : line[Math.Min(at + 1, line.Length)..];
    }

    private void TakeLine(string line, long stamp)
    {
        Span<long> numbers = stackalloc long[8];
        var count = line.Length > 2 && line[1] == ' ' ? ParseNumbers(line.AsSpan(2), numbers) : 0;
        var boot = _boots.Count > 0 ? _boots[^1] : null;
        switch (line.Length > 0 ? line[0] : ' ', count)
        {
            case ('A', 2) when boot is not null:
                boot.Acknowledged.Add(new GuestAcknowledgement(numbers[0], stamp, numbers[1]));
                return;
            case ('H', 1) when boot is not null:
                boot.Heartbeats.Add(stamp);
                return;
            case ('G', 1):
                _boots.Add(new GuestBoot(numbers[0]));
                break;
            case ('L', 8) when boot is not null:
                boot.Layout = GuestLayout.Parse(numbers);
                break;
            case ('E', 2) when boot is not null:
                boot.Errors.Add((numbers[0], (int)numbers[1]));
                break;
            default:
                if (boot is not null && line.StartsWith("F done ", StringComparison.Ordinal) && ParseNumbers(line.AsSpan(7), numbers) == 2)
                    boot.Filler = (numbers[0], numbers[1]);
                break;
        }

        _text.Add(line);
    }

    // 0 when anything in it is no number: then the line was torn, or is somebody else's.
    private static int ParseNumbers(ReadOnlySpan<char> text, Span<long> numbers)
    {
        var count = 0;
        foreach (var part in text.Split(' '))
        {
            if (count == numbers.Length || !long.TryParse(text[part], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[count]))
                return 0;
            count++;
        }

        return count;
    }

    private T Locked<T>(Func<T> read)
    {
        lock (_lock)
            return read();
    }
}
