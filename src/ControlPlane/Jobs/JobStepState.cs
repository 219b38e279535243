namespace Godwit.ControlPlane.Jobs;

/// <summary>Where a step stands. The numbers are stored in the journal and never change meaning.</summary>
internal enum JobStepState
{
    /// <summary>Not begun.</summary>
    Pending = 0,

    /// <summary>Begun; may or may not have acted.</summary>
    Running = 1,

    /// <summary>Done.</summary>
    Done = 2,

    /// <summary>Taken back.</summary>
    Undone = 3,

    /// <summary>Failed after the commit point, or could not be undone: the job's problem says what is left to do.</summary>
    Failed = 4,
}
