namespace Godwit.Cli.Progress;

/// <summary>Progress for logs and pipes: a line at each change of phase, else one in two seconds at most.</summary>
internal sealed class PlainProgress(TextWriter writer, TimeProvider time) : ProgressView
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);
    private string? _phase;
    private string? _line;
    private long _written;

    /// <inheritdoc/>
    public override void Show(in ProgressState state)
    {
        if (state.Phase == _phase && time.GetElapsedTime(_written) < Pause)
            return;
        var line = Line(state);
        if (line == _line)
            return;
        _phase = state.Phase;
        _line = line;
        _written = time.GetTimestamp();
        writer.WriteLine(line);
    }

    /// <inheritdoc/>
    public override void Clear()
    {
    }

    /// <inheritdoc/>
    public override void Redraw()
    {
    }

    private static string Line(in ProgressState state)
    {
        var figures = state.Figures(", ");
        var parts = new[] { state.PercentText, figures }.Where(part => part.Length > 0);
        var rest = string.Join(", ", parts);
        return rest.Length == 0 ? state.Phase : $"{state.Phase}: {rest}";
    }
}
