using System.Globalization;
using Godwit.Cli.Text;

namespace Godwit.Cli.Progress;

/// <summary>How far something is.</summary>
/// <param name="Phase">What it is doing, in a word.</param>
/// <param name="Percent">0 to 100, or null when that cannot be told.</param>
/// <param name="BytesDone">Bytes done.</param>
/// <param name="BytesTotal">Bytes expected in all; zero when there are none to copy.</param>
/// <param name="BytesPerSecond">Rate over the last seconds.</param>
/// <param name="SecondsLeft">Expected time to the end, or null when that cannot be told.</param>
internal readonly record struct ProgressState(
    string Phase, double? Percent = null, long BytesDone = 0, long BytesTotal = 0, long BytesPerSecond = 0,
    double? SecondsLeft = null)
{
    /// <summary>Bytes, rate and time left in words, as far as known: "1.5 GiB of 8 GiB, 210 MiB/s, 0:32 left".</summary>
    public string Figures(string separator)
    {
        var parts = new List<string>(3);
        if (BytesTotal > 0)
            parts.Add($"{ByteSize.Format(BytesDone)} of {ByteSize.Format(BytesTotal)}");
        if (BytesPerSecond > 0)
            parts.Add($"{ByteSize.Format(BytesPerSecond)}/s");
        if (SecondsLeft is double left)
            parts.Add($"{Clock.Format(TimeSpan.FromSeconds(Math.Clamp(left, 0, 359_999)))} left");
        return string.Join(separator, parts);
    }

    /// <summary>The percentage with one decimal, never rounded up to 100 before the end.</summary>
    public string PercentText => Percent is double percent
        ? string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(Math.Clamp(percent, 0, 100) * 10) / 10:0.0} %")
        : "";
}
