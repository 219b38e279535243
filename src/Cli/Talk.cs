using Godwit.Api;
using Godwit.Cli.Progress;
using Godwit.Cli.Text;

namespace Godwit.Cli;

/// <summary>Everything said on stderr: remarks, progress, errors. May be used from several threads.</summary>
/// <param name="shell">Where it is said.</param>
/// <param name="quiet">Errors only.</param>
internal sealed class Talk(Shell shell, bool quiet)
{
    private readonly Lock _gate = new();
    private ProgressView? _view;

    /// <summary>Colours for stderr.</summary>
    public Paint Paint { get; } = new(shell.ColourError);

    /// <summary>A remark; unsaid with --quiet.</summary>
    public void Say(string text)
    {
        if (!quiet)
            Write(Printable.From(text));
    }

    /// <summary>An error and what to do about it.</summary>
    public void Fail(Problem problem)
    {
        var error = $"{Paint.Red("error:")} {Printable.From(problem.Title)}";
        Write(problem.Remedy is null ? error : $"{error}{Environment.NewLine}remedy: {Printable.From(problem.Remedy)}");
    }

    /// <summary>A wrong command line and where to read how it is right.</summary>
    public void FailUsage(string message, string help) =>
        Write($"{Paint.Red("error:")} {Printable.From(message)}{Environment.NewLine}help: {help}");

    /// <summary>Shows progress; nothing with --quiet.</summary>
    public void Show(in ProgressState state)
    {
        if (quiet)
            return;
        lock (_gate)
        {
            _view ??= shell.CanRedraw
                ? new TerminalProgress(shell.Error, shell.Time, shell.Width, Paint)
                : new PlainProgress(shell.Error, shell.Time);
            _view.Show(state);
        }
    }

    /// <summary>Takes the progress away.</summary>
    public void EndProgress()
    {
        lock (_gate)
        {
            _view?.Clear();
            _view = null;
        }
    }

    private void Write(string text)
    {
        lock (_gate)
        {
            _view?.Clear();
            // Data that was written before this must also be seen before it where both go to one terminal.
            shell.Out.Flush();
            shell.Error.WriteLine(text);
            _view?.Redraw();
        }
    }
}
