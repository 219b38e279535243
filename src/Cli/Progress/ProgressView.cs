namespace Godwit.Cli.Progress;

/// <summary>Shows progress on stderr. Called under the lock of <see cref="Talk"/>.</summary>
internal abstract class ProgressView
{
    /// <summary>Takes the newest state; shows it when it is time to.</summary>
    public abstract void Show(in ProgressState state);

    /// <summary>Makes room for other text.</summary>
    public abstract void Clear();

    /// <summary>Shows the newest state again after <see cref="Clear"/>.</summary>
    public abstract void Redraw();
}
