using Godwit.Cli.Text;

namespace Godwit.Cli.Progress;

/// <summary>Progress for a person: one line with a bar, drawn over again at most ten times a second.</summary>
internal sealed class TerminalProgress(TextWriter writer, TimeProvider time, int width, Paint paint) : ProgressView
{
    private const string EraseLine = "\r\e[K";
    private const int BarWidth = 24;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private ProgressState? _state;
    private long _drawn;

    /// <inheritdoc/>
    public override void Show(in ProgressState state)
    {
        var due = _state is not ProgressState last || last.Phase != state.Phase || time.GetElapsedTime(_drawn) >= Pause;
        _state = state;
        if (due)
            Redraw();
    }

    /// <inheritdoc/>
    public override void Clear() => writer.Write(EraseLine);

    /// <inheritdoc/>
    public override void Redraw()
    {
        if (_state is not ProgressState state)
            return;
        _drawn = time.GetTimestamp();
        writer.Write(EraseLine + Line(state));
    }

    private string Line(in ProgressState state)
    {
        var head = state.Percent is double percent
            ? $"{state.Phase,-10} {Bar(percent)} {state.PercentText,7}"
            : $"{state.Phase,-10}";
        var line = $"{head}  {state.Figures("  ")}".TrimEnd();
        // A line that wraps could not be erased again. The last column stays free: some terminals wrap there.
        if (line.Length >= width)
            line = line[..Math.Max(0, width - 1)];
        var bar = line.IndexOf('#', StringComparison.Ordinal);
        var end = line.LastIndexOf('#') + 1;
        return bar < 0 ? line : line[..bar] + paint.Green(line[bar..end]) + line[end..];
    }

    private static string Bar(double percent)
    {
        var full = (int)(Math.Clamp(percent, 0, 100) / 100 * BarWidth);
        return $"[{new string('#', full)}{new string('.', BarWidth - full)}]";
    }
}
