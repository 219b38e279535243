namespace Godwit.Worker.Interop;

/// <summary>Standard input, output and error.</summary>
internal static class StandardStreams
{
    /// <summary>Lets go of what we were started with, so that whoever started us does not wait on a pipe that we hold open.</summary>
    /// <param name="log">Becomes standard error: the runtime's last words must not get lost. Closed.</param>
    internal static void Detach(int log)
    {
        var nothing = LibC.Open("/dev/null", LibC.ReadWrite | LibC.CloseOnExec, 0);
        _ = LibC.Duplicate(nothing, 0);
        _ = LibC.Duplicate(nothing, 1);
        _ = LibC.Duplicate(log, 2);
        _ = LibC.Close(nothing);
        _ = LibC.Close(log);
    }
}
